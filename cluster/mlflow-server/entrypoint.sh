#!/bin/sh
# Hands the secrets from their files to the server, by its environment: no command line and no address holds one.
set -eu
secrets=${SECRETS:-/run/secrets}
secret() {
  [ -s "$secrets/$1" ] || { echo "$secrets/$1: is missing or empty; make-secrets.sh makes it." >&2 && exit 1; }
  cat "$secrets/$1"
}
MLFLOW_AUTH_ADMIN_PASSWORD=$(secret mlflow_admin_password)
MLFLOW_FLASK_SERVER_SECRET_KEY=$(secret mlflow_server_key)
PGPASSWORD=$(secret postgres_password)
AWS_SECRET_ACCESS_KEY=$(secret store_password)
AWS_ACCESS_KEY_ID=${AWS_ACCESS_KEY_ID:-genotune}
export MLFLOW_AUTH_ADMIN_PASSWORD MLFLOW_FLASK_SERVER_SECRET_KEY PGPASSWORD AWS_SECRET_ACCESS_KEY AWS_ACCESS_KEY_ID
exec "$@"
