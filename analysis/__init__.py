"""The experiments: every number that the README names, made by a command that anybody can run again."""
