#!/bin/sh
# A kind cluster to try ModelRollout on: gateway (Envoy Gateway), Prometheus, the digits example's image, our chart.
# Needs docker, kind, kubectl and helm, and the network.
set -eu
cd "$(dirname "$0")/.."
for tool in docker kind kubectl helm; do
  command -v $tool >/dev/null 2>&1 || { echo "make kind needs $tool: install it, or use \`make sandbox\`, which needs neither Docker nor kind." >&2; exit 1; }
done
kind get clusters 2>/dev/null | grep -qx modelrollout || kind create cluster --config kind-config.yaml
kubectl config use-context kind-modelrollout
helm upgrade --install gateway oci://docker.io/envoyproxy/gateway-helm --namespace gateway --create-namespace --wait
helm upgrade --install prometheus prometheus --repo https://prometheus-community.github.io/helm-charts \
  --namespace monitoring --create-namespace --wait \
  --set alertmanager.enabled=false --set kube-state-metrics.enabled=false \
  --set prometheus-node-exporter.enabled=false --set prometheus-pushgateway.enabled=false
docker build --tag modelrollout.dev/digits:v1 examples/digits
for version in v2 v3 v4 v5 v6; do docker tag modelrollout.dev/digits:v1 modelrollout.dev/digits:$version; done
docker build --file operator/Dockerfile --tag modelrollout.dev/modelrollout:0.1.0 .
kind load docker-image --name modelrollout modelrollout.dev/modelrollout:0.1.0 $(for v in 1 2 3 4 5 6; do echo modelrollout.dev/digits:v$v; done)
helm upgrade --install modelrollout charts/modelrollout --namespace modelrollout --create-namespace --wait \
  --set prometheus.url=http://prometheus-server.monitoring.svc --set webhook.enabled=true
kubectl apply -f tools/kind-gateway.yaml
echo
echo 'kubectl apply -f examples/digits.yaml'
