"""Where these were until tests/support had them."""

from gateway_world import DOMAIN, REMOTE_DOMAIN, Answer, World, one_world, service  # noqa: F401 (for who imports them from here)
from origin import Origin, Received  # noqa: F401 (as above)
from stage import PATIENCE, Stage, eventually, free_port, listen, short_folder  # noqa: F401 (as above)
from supervisor_side import SupervisorSide  # noqa: F401 (as above)
