#!/bin/sh
# Makes the server's secrets, each a random text in a file of its own, in the folder that MLFLOW_SECRETS names (outside of
# any repository, say ~/.config/genotune-mlflow). What is there already stays as it is.
set -eu
folder=${MLFLOW_SECRETS:?names a folder for the secrets, say: export MLFLOW_SECRETS=~/.config/genotune-mlflow}
# The folder keeps others out; the files must be readable to the users of the containers, whoever they are.
mkdir -p "$folder"
chmod 700 "$folder"
umask 022
for name in mlflow_admin_password mlflow_server_key postgres_password store_password; do
  [ -s "$folder/$name" ] || head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$folder/$name"
done
