-- Asks the operator for retry by an annotation, and touches nothing else. Made by `python -m tests.gitops`.
-- The token is another one with each version of the object, so it can be asked for again.
local metadata = obj.metadata
if type(metadata.annotations) ~= "table" then metadata.annotations = {} end
local asked = "retry"
metadata.annotations["modelrollout.dev/action"] = asked .. "/argocd-" .. (metadata.resourceVersion or "0")
return obj
