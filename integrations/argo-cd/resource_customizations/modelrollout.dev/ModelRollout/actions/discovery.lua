-- What people may ask of a ModelRollout in Argo CD. The operator decides; this greys out what it would refuse.
local status = obj.status
if type(status) ~= "table" then status = {} end
local phase, candidate, stage = status.phase, status.candidate, status.stage

local function is_one_of(value, ...)
  for _, one in ipairs({...}) do
    if value == one then return true end
  end
  return false
end

local function is_rejected(revision)
  for _, entry in ipairs(type(status.rejected) == "table" and status.rejected or {}) do
    if type(entry) == "table" and entry.revision == revision then return true end
  end
  return false
end

-- Pods of a version that served before, and may serve again.
local function is_kept()
  for _, old in ipairs(type(status.retired) == "table" and status.retired or {}) do
    if type(old) == "table" and not is_rejected(old.revision) then return true end
  end
  return false
end

local function waits_for_approval()
  for _, one in ipairs(type(status.conditions) == "table" and status.conditions or {}) do
    if type(one) == "table" and one.type == "WaitingForPerson" and one.reason == "AwaitingApproval" then return true end
  end
  return false
end

if phase == "Invalid" then phase = status.resumes end
local is_readable = status.phase ~= "Invalid"
local has_candidate = type(candidate) == "table" and type(status.stable) == "table"
local is_ahead = has_candidate and is_one_of(phase, "Pending", "Progressing", "Promoting", "Baking")
local is_paused = type(status.paused) == "table"
local goes_on = is_readable and is_ahead and not is_paused
local may_end = goes_on and type(stage) == "table" and is_one_of(phase, "Progressing", "Baking")

return {
  abort = { disabled = not is_ahead },
  approve = { disabled = not (is_readable and is_ahead and waits_for_approval()) },
  pause = { disabled = not is_ahead or is_paused },
  promote = { disabled = not may_end },
  ["promote-full"] = { disabled = not (goes_on and is_one_of(phase, "Pending", "Progressing")) },
  resume = { disabled = not is_paused },
  retry = { disabled = not (is_readable and phase == "RolledBack") },
  skip = { disabled = not may_end },
  undo = { disabled = not (is_readable and candidate == nil and is_kept()) },
}
