"""The deployment in two regions, and its check: `python -m infra.terraform.check`."""
