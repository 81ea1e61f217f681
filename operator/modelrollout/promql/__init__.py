"""PromQL as text: selectors, matchers, strings and regular expressions. Knows no metric. Pure."""
