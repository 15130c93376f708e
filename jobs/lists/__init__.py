"""From scored candidates to finished lists under the rules of the shop."""
