terraform {
  required_version = ">= 1.11.0"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100.0"
    }
  }

  # Where the state is kept is not in the repository: terraform init -backend-config=backend.hcl (see backend.hcl.example).
  # The bucket is encrypted and versioned; a lock file beside the state keeps two from changing it at once.
  backend "s3" {
    encrypt      = true
    use_lockfile = true
  }
}
