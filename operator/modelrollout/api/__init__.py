"""The ModelRollout resource as pydantic models, and the CRD made from them. Pure: no I/O, clock or logging."""
