"""What may stand in the KubeRay files: what we use of KubeRay's and Kubernetes' API, and nothing else.

Source: kuberay 1.6.2, helm-chart/kuberay-operator/crds; Kubernetes 1.30, core/v1 and networking.k8s.io/v1.
"""

from typing import Any

from cluster_files.closed_schema import BOOL, COUNT, TEXT, TEXTS, closed, faults, items

_METADATA = closed("name", name=TEXT, namespace=TEXT, labels=TEXTS, annotations=TEXTS)
_LOCKED = closed(
    "allowPrivilegeEscalation capabilities",
    allowPrivilegeEscalation={"const": False},
    capabilities=closed("drop", drop={"const": ["ALL"]}),
)
_AS_NOBODY = closed(
    "runAsNonRoot seccompProfile",
    runAsNonRoot={"const": True},
    runAsUser={"type": "integer", "minimum": 1},
    runAsGroup={"type": "integer", "minimum": 1},
    fsGroup=COUNT,
    seccompProfile=closed("type", type={"const": "RuntimeDefault"}),
)
_QUANTITIES = {
    "type": "object",
    "required": ["cpu", "memory"],
    "additionalProperties": False,
    "properties": {
        "cpu": {"type": "string", "pattern": r"^\d+m?$"},
        "memory": {"type": "string", "pattern": r"^\d+[MG]i$"},
        "nvidia.com/gpu": {"type": "string", "pattern": r"^\d+$"},
    },
}
_RESOURCES = closed("requests limits", requests=_QUANTITIES, limits=_QUANTITIES)
_CONTAINER = closed(
    "name image securityContext resources",
    name=TEXT,
    image={"type": "string", "pattern": r":[\w.-]+$"},
    securityContext=_LOCKED,
    env=items(closed("name value", name=TEXT, value=TEXT)),
    envFrom=items(closed("secretRef", secretRef=closed("name", name=TEXT))),
    ports=items(closed("name containerPort", name=TEXT, containerPort=COUNT)),
    resources=_RESOURCES,
    volumeMounts=items(closed("name mountPath readOnly", name=TEXT, mountPath=TEXT, readOnly={"const": True})),
)
_POD = closed(
    "metadata spec",
    metadata=closed("labels", labels=TEXTS),
    spec=closed(
        "securityContext containers",
        serviceAccountName=TEXT,
        restartPolicy={"const": "Never"},
        nodeSelector=TEXTS,
        tolerations=items(
            closed("key operator effect", key=TEXT, operator={"const": "Exists"}, effect={"const": "NoSchedule"})
        ),
        securityContext=_AS_NOBODY,
        terminationGracePeriodSeconds=COUNT,
        containers=items(_CONTAINER),
        volumes=items(closed("name configMap", name=TEXT, configMap=closed("name", name=TEXT))),
    ),
)
_CLUSTER = closed(
    "rayVersion authOptions enableInTreeAutoscaling autoscalerOptions headGroupSpec workerGroupSpecs",
    rayVersion=TEXT,
    authOptions=closed("mode", mode={"const": "token"}),
    enableInTreeAutoscaling={"const": True},
    autoscalerOptions=closed(
        "version idleTimeoutSeconds securityContext",
        version={"const": "v2"},
        upscalingMode={"enum": ["Default", "Conservative"]},
        idleTimeoutSeconds=COUNT,
        securityContext=_LOCKED,
        resources=_RESOURCES,
    ),
    headGroupSpec=closed(
        "serviceType rayStartParams template",
        serviceType={"const": "ClusterIP"},
        rayStartParams=TEXTS,
        template=_POD,
    ),
    workerGroupSpecs=items(
        closed(
            "groupName replicas minReplicas maxReplicas rayStartParams template",
            groupName=TEXT,
            replicas=COUNT,
            minReplicas=COUNT,
            maxReplicas=COUNT,
            resources=TEXTS,
            rayStartParams=TEXTS,
            template=_POD,
        )
    ),
)
_PEER = closed(
    "",
    podSelector=closed("", matchLabels=TEXTS),
    namespaceSelector=closed("", matchLabels=TEXTS),
)


def _kind(version: str, kind: str, required: str = "", **properties: Any) -> dict[str, Any]:
    return closed(
        f"apiVersion kind metadata {required}",
        apiVersion={"const": version},
        kind={"const": kind},
        metadata=_METADATA,
        **properties,
    )


_KINDS = {
    "RayCluster": _kind("ray.io/v1", "RayCluster", "spec", spec=_CLUSTER),
    "RayJob": _kind(
        "ray.io/v1",
        "RayJob",
        "spec",
        spec=closed(
            "entrypoint entrypointResources backoffLimit shutdownAfterJobFinishes rayClusterSpec",
            entrypoint=TEXT,
            entrypointResources=TEXT,
            backoffLimit=COUNT,
            shutdownAfterJobFinishes=BOOL,
            ttlSecondsAfterFinished=COUNT,
            submissionMode={"enum": ["K8sJobMode", "HTTPMode"]},
            submitterPodTemplate=_POD,
            rayClusterSpec=_CLUSTER,
        ),
    ),
    "Namespace": _kind("v1", "Namespace"),
    "ServiceAccount": _kind("v1", "ServiceAccount", automountServiceAccountToken=BOOL),
    "NetworkPolicy": _kind(
        "networking.k8s.io/v1",
        "NetworkPolicy",
        "spec",
        spec=closed(
            "podSelector policyTypes ingress",
            podSelector=closed("matchLabels", matchLabels=TEXTS),
            policyTypes=items({"enum": ["Ingress", "Egress"]}),
            ingress=items(
                {
                    **closed("from", ports=items(closed("protocol port", protocol={"const": "TCP"}, port=COUNT))),
                    "properties": {
                        "from": items(_PEER),
                        "ports": items(closed("protocol port", protocol={"const": "TCP"}, port=COUNT)),
                    },
                }
            ),
        ),
    ),
}


def problems(thing: dict[str, Any]) -> list[str]:
    """Each fault of one document, as `place: what`."""
    return list(faults(thing, _KINDS[thing["kind"]]))
