# What joins the regions: the peering, with routes from each side's MirrorMaker to the other side's brokers and back, and
# one MirrorMaker 2 in each region. Each reads the far cluster and writes the near one.

locals {
  environment = {
    DUTCHBOOK_KAFKA_US = var.regions.us.kafka.address
    DUTCHBOOK_KAFKA_EU = var.regions.eu.kafka.address
  }

  # Names as MirrorMaker 2 in dedicated mode makes them: mirrored topics under the source's alias, Connect's three internal
  # topics and its group named after the source, offset syncs at the source, heartbeats of its own in the target. Its health is
  # whether what is written to `heartbeat` at the source comes out at the target, so it reads both.
  rights = { for target, source in { us = "eu", eu = "us" } : target => [
    {
      cluster_arn = var.regions[source].kafka.arn
      read        = concat(var.mirrored[target], ["heartbeats"])
      describe    = concat(var.mirrored[target], ["heartbeats"])
      write       = ["mm2-offset-syncs.${target}.internal"]
      create      = ["mm2-offset-syncs.${target}.internal"]
      groups      = ["dutchbook-mirrormaker-${target}"]
    },
    {
      cluster_arn = var.regions[target].kafka.arn
      read        = concat(local.internal[source], ["${source}.heartbeat"])
      describe    = local.internal[source]
      write       = concat([for topic in var.mirrored[target] : "${source}.${topic}"], ["heartbeats", "${source}.heartbeats"], local.internal[source])
      create      = concat(["heartbeats", "${source}.heartbeats"], local.internal[source])
      groups      = ["${source}-mm2", "dutchbook-mirrormaker-${target}"]
    },
  ] }

  internal = { for source in ["us", "eu"] : source => [for kind in ["configs", "offsets", "status"] : "mm2-${kind}.${source}.internal"] }

  egress = { for target, source in { us = "eu", eu = "us" } : target => merge(
    { kafka-here = { port = 9098, cidr = null, security_group_id = var.regions[target].kafka.security_group_id, prefix_list_id = null } },
    { for zone, cidr in var.regions[source].data_cidrs : "kafka-there-${zone}" => { port = 9098, cidr = cidr, security_group_id = null, prefix_list_id = null } },
    { for name, to in var.regions[target].https_egress : "https-${name}" => merge(to, { port = 443 }) },
  ) }
}

# --- peering ---------------------------------------------------------------------------------------------------------

resource "aws_vpc_peering_connection" "this" {
  provider = aws.us

  vpc_id      = var.regions.us.vpc_id
  peer_vpc_id = var.regions.eu.vpc_id
  peer_region = var.regions.eu.region

  tags = { Name = "${var.name}-us-eu" }
}

resource "aws_vpc_peering_connection_accepter" "this" {
  provider = aws.eu

  vpc_peering_connection_id = aws_vpc_peering_connection.this.id
  auto_accept               = true

  tags = { Name = "${var.name}-us-eu" }
}

# From each side's MirrorMaker to the other side's brokers ...

resource "aws_route" "us_mirror" {
  provider = aws.us
  for_each = { for pair in setproduct(keys(var.regions.us.mirror_route_table_ids), keys(var.regions.eu.data_cidrs)) : join(" to ", pair) => pair }

  route_table_id            = var.regions.us.mirror_route_table_ids[each.value[0]]
  destination_cidr_block    = var.regions.eu.data_cidrs[each.value[1]]
  vpc_peering_connection_id = aws_vpc_peering_connection_accepter.this.id
}

resource "aws_route" "eu_mirror" {
  provider = aws.eu
  for_each = { for pair in setproduct(keys(var.regions.eu.mirror_route_table_ids), keys(var.regions.us.data_cidrs)) : join(" to ", pair) => pair }

  route_table_id            = var.regions.eu.mirror_route_table_ids[each.value[0]]
  destination_cidr_block    = var.regions.us.data_cidrs[each.value[1]]
  vpc_peering_connection_id = aws_vpc_peering_connection_accepter.this.id
}

# ... and from the brokers back.

resource "aws_route" "us_data" {
  provider = aws.us

  route_table_id            = var.regions.us.data_route_table_id
  destination_cidr_block    = var.regions.eu.mirror_cidr
  vpc_peering_connection_id = aws_vpc_peering_connection_accepter.this.id
}

resource "aws_route" "eu_data" {
  provider = aws.eu

  route_table_id            = var.regions.eu.data_route_table_id
  destination_cidr_block    = var.regions.us.mirror_cidr
  vpc_peering_connection_id = aws_vpc_peering_connection_accepter.this.id
}

# --- MirrorMaker 2 ---------------------------------------------------------------------------------------------------

module "us" {
  source    = "../services/process"
  providers = { aws = aws.us }

  prefix     = var.regions.us.prefix
  name       = "mirrormaker"
  region     = var.regions.us.region
  account_id = var.account_id

  definition = {
    image        = "${var.regions.us.repository.url}:${var.images.tag}"
    architecture = var.images.architecture
    command      = ["dutchbook", "mirrormaker", "--to", "us"]
    cpu          = var.size.cpu
    memory       = var.size.memory
    environment  = merge(local.environment, { DUTCHBOOK_REGION = "us" })
    secrets      = {}
    service      = true
  }

  count_of         = { desired = var.desired, one_of_a_kind = true }
  kafka            = local.rights.us
  readable_secrets = { secret_arns = [], key_arns = [] }
  repository_arn   = var.regions.us.repository.arn
  cluster          = var.regions.us.cluster
  network          = { vpc_id = var.regions.us.vpc_id, subnet_ids = var.regions.us.mirror_subnet_ids, egress = local.egress.us }
  log              = var.regions.us.log
}

module "eu" {
  source    = "../services/process"
  providers = { aws = aws.eu }

  prefix     = var.regions.eu.prefix
  name       = "mirrormaker"
  region     = var.regions.eu.region
  account_id = var.account_id

  definition = {
    image        = "${var.regions.eu.repository.url}:${var.images.tag}"
    architecture = var.images.architecture
    command      = ["dutchbook", "mirrormaker", "--to", "eu"]
    cpu          = var.size.cpu
    memory       = var.size.memory
    environment  = merge(local.environment, { DUTCHBOOK_REGION = "eu" })
    secrets      = {}
    service      = true
  }

  count_of         = { desired = var.desired, one_of_a_kind = true }
  kafka            = local.rights.eu
  readable_secrets = { secret_arns = [], key_arns = [] }
  repository_arn   = var.regions.eu.repository.arn
  cluster          = var.regions.eu.cluster
  network          = { vpc_id = var.regions.eu.vpc_id, subnet_ids = var.regions.eu.mirror_subnet_ids, egress = local.egress.eu }
  log              = var.regions.eu.log
}
