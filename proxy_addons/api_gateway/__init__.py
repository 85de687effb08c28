"""The API gateway, ``https://api-gateway.<domain>``: routes to services, and the authorizer that stands before them."""
