"""The pictures, tables and quotes of docs/verdicts.md: simulated releases, judged by the operator's own engine."""
