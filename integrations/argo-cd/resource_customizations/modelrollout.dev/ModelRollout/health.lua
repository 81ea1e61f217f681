-- Health of a ModelRollout for Argo CD. It uses nothing but the language and ipairs, and nil-checks all that it reads.
-- The conditions follow kstatus (Ready, Stalled); what waits for a person's decision is Suspended to Argo CD.

local function text(value, otherwise)
  if type(value) == "string" and value ~= "" then return value end
  return otherwise
end

local function health(status, message)
  return { status = status, message = message }
end

local status = obj.status
if type(status) ~= "table" then status = {} end
local metadata = obj.metadata
if type(metadata) ~= "table" then metadata = {} end

local conditions = {}
if type(status.conditions) == "table" then
  for _, condition in ipairs(status.conditions) do
    if type(condition) == "table" and type(condition.type) == "string" then conditions[condition.type] = condition end
  end
end

-- Whether a condition says this, and its message.
local function says(name, truth)
  local condition = conditions[name]
  return condition ~= nil and condition.status == truth
end

local function told(name)
  return text(conditions[name].message, text(conditions[name].reason, name))
end

-- The operator may not see what surrounds the rollout. It says so without having observed the generation.
if says("Ready", "Unknown") and conditions.Ready.observedGeneration == metadata.generation then
  return health("Degraded", told("Ready"))
end

if status.phase == nil or status.observedGeneration == nil then
  return health("Progressing", "Waiting for the operator to look at this ModelRollout.")
end
if metadata.generation ~= nil and status.observedGeneration ~= metadata.generation then
  return health("Progressing", "Waiting for the operator to look at the newest spec.")
end

local phase, message = status.phase, text(status.message, text(status.phase, "The rollout is on its way."))

-- What a person has to mend or to decide goes before where the rollout stands.
if says("Stalled", "True") then return health("Degraded", told("Stalled")) end
if says("Applied", "False") then return health("Degraded", told("Applied")) end
if says("WaitingForPerson", "True") then return health("Suspended", told("WaitingForPerson")) end

-- A verdict is never taken back, so a version that is being taken back has failed already.
if phase == "RollingBack" or phase == "RolledBack" then return health("Degraded", message) end

-- While the candidate gets or has all traffic, nobody depends on the stable version.
if says("Healthy", "False") and phase ~= "Promoting" and phase ~= "Baking" then
  return health("Degraded", told("Healthy"))
end

if says("Ready", "True") then return health("Healthy", message) end
if phase == "Healthy" and says("Ready", "False") then return health("Progressing", told("Ready")) end

-- Pending, Progressing, Promoting, Baking; Invalid while an object that the spec names may still arrive; and any phase
-- that a newer operator has.
return health("Progressing", message)
