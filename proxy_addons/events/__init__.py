"""The event broker: takes CloudEvents over HTTP, keeps them, and delivers them to the services that subscribe."""
