# Two regions, two jurisdictions. A module gets one of them, except mirroring, which joins them.

provider "aws" {
  alias               = "us"
  region              = local.regions.us
  allowed_account_ids = [var.account_id]

  default_tags {
    tags = local.tags
  }
}

provider "aws" {
  alias               = "eu"
  region              = local.regions.eu
  allowed_account_ids = [var.account_id]

  default_tags {
    tags = local.tags
  }
}
