"""The control socket, the supervisor's end of it: a method for each verb, one JSON object a line."""
