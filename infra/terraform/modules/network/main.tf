# One region's network. Only the NAT gateways stand in public subnets; nothing here can be reached from the internet.
#
#   public   one /24 a zone   NAT gateways
#   tasks    one /20 a zone   every process; out through NAT, or to AWS's endpoints
#   mirror   one /28 a zone   MirrorMaker 2 only: the one kind of task that may reach the other region
#   data     one /24 a zone   brokers and stores; no way out but to the peered region

locals {
  index = { for number, zone in var.zones : zone => number }

  cidrs = {
    public = { for zone, number in local.index : zone => cidrsubnet(var.cidr, 8, number) }
    tasks  = { for zone, number in local.index : zone => cidrsubnet(var.cidr, 4, number + 1) }
    data   = { for zone, number in local.index : zone => cidrsubnet(var.cidr, 8, number + 64) }
    mirror = { for zone, number in local.index : zone => cidrsubnet(local.mirror_cidr, 2, number) }
  }
  mirror_cidr = cidrsubnet(var.cidr, 10, 320)

  nat_zones = var.nat_gateways == "single" ? [var.zones[0]] : var.zones
  nat_of    = { for zone in var.zones : zone => contains(local.nat_zones, zone) ? zone : local.nat_zones[0] }

  interface_services = var.interface_endpoints ? toset(["ecr.api", "ecr.dkr", "logs", "secretsmanager", "sts"]) : toset([])
}

resource "aws_vpc" "this" {
  cidr_block           = var.cidr
  enable_dns_support   = true
  enable_dns_hostnames = true

  tags = { Name = var.name }
}

# Closed: whoever forgets to name a security group reaches nothing.
resource "aws_default_security_group" "closed" {
  vpc_id = aws_vpc.this.id

  tags = { Name = "${var.name}-default-closed" }
}

# --- subnets ------------------------------------------------------------------------------------------------------

resource "aws_subnet" "public" {
  for_each = local.cidrs.public

  vpc_id                  = aws_vpc.this.id
  availability_zone       = each.key
  cidr_block              = each.value
  map_public_ip_on_launch = false

  tags = { Name = "${var.name}-public-${each.key}" }
}

resource "aws_subnet" "tasks" {
  for_each = local.cidrs.tasks

  vpc_id                  = aws_vpc.this.id
  availability_zone       = each.key
  cidr_block              = each.value
  map_public_ip_on_launch = false

  tags = { Name = "${var.name}-tasks-${each.key}" }
}

resource "aws_subnet" "mirror" {
  for_each = local.cidrs.mirror

  vpc_id                  = aws_vpc.this.id
  availability_zone       = each.key
  cidr_block              = each.value
  map_public_ip_on_launch = false

  tags = { Name = "${var.name}-mirror-${each.key}" }
}

resource "aws_subnet" "data" {
  for_each = local.cidrs.data

  vpc_id                  = aws_vpc.this.id
  availability_zone       = each.key
  cidr_block              = each.value
  map_public_ip_on_launch = false

  tags = { Name = "${var.name}-data-${each.key}" }
}

# --- the way out --------------------------------------------------------------------------------------------------

resource "aws_internet_gateway" "this" {
  vpc_id = aws_vpc.this.id

  tags = { Name = var.name }
}

resource "aws_eip" "nat" {
  for_each = toset(local.nat_zones)

  domain = "vpc"

  tags = { Name = "${var.name}-nat-${each.key}" }

  depends_on = [aws_internet_gateway.this]
}

resource "aws_nat_gateway" "this" {
  for_each = toset(local.nat_zones)

  allocation_id = aws_eip.nat[each.key].id
  subnet_id     = aws_subnet.public[each.key].id

  tags = { Name = "${var.name}-${each.key}" }

  depends_on = [aws_internet_gateway.this]
}

resource "aws_route_table" "public" {
  vpc_id = aws_vpc.this.id

  tags = { Name = "${var.name}-public" }
}

resource "aws_route" "public" {
  route_table_id         = aws_route_table.public.id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.this.id
}

resource "aws_route_table_association" "public" {
  for_each = aws_subnet.public

  subnet_id      = each.value.id
  route_table_id = aws_route_table.public.id
}

resource "aws_route_table" "tasks" {
  for_each = local.cidrs.tasks

  vpc_id = aws_vpc.this.id

  tags = { Name = "${var.name}-tasks-${each.key}" }
}

resource "aws_route" "tasks" {
  for_each = local.nat_of

  route_table_id         = aws_route_table.tasks[each.key].id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = aws_nat_gateway.this[each.value].id
}

resource "aws_route_table_association" "tasks" {
  for_each = aws_subnet.tasks

  subnet_id      = each.value.id
  route_table_id = aws_route_table.tasks[each.key].id
}

resource "aws_route_table" "mirror" {
  for_each = local.cidrs.mirror

  vpc_id = aws_vpc.this.id

  tags = { Name = "${var.name}-mirror-${each.key}" }
}

resource "aws_route" "mirror" {
  for_each = local.nat_of

  route_table_id         = aws_route_table.mirror[each.key].id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = aws_nat_gateway.this[each.value].id
}

resource "aws_route_table_association" "mirror" {
  for_each = aws_subnet.mirror

  subnet_id      = each.value.id
  route_table_id = aws_route_table.mirror[each.key].id
}

resource "aws_route_table" "data" {
  vpc_id = aws_vpc.this.id

  tags = { Name = "${var.name}-data" }
}

resource "aws_route_table_association" "data" {
  for_each = aws_subnet.data

  subnet_id      = each.value.id
  route_table_id = aws_route_table.data.id
}

# --- AWS's own services -------------------------------------------------------------------------------------------

# Image layers come from S3: without this they would pass, and be paid at, the NAT gateways.
resource "aws_vpc_endpoint" "s3" {
  vpc_id            = aws_vpc.this.id
  service_name      = "com.amazonaws.${var.region}.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids = concat(
    [for table in aws_route_table.tasks : table.id],
    [for table in aws_route_table.mirror : table.id],
    [aws_route_table.data.id],
  )

  tags = { Name = "${var.name}-s3" }
}

resource "aws_security_group" "endpoints" {
  count = var.interface_endpoints ? 1 : 0

  name        = "${var.name}-endpoints"
  description = "AWS endpoints, for tasks"
  vpc_id      = aws_vpc.this.id

  tags = { Name = "${var.name}-endpoints" }
}

resource "aws_vpc_security_group_ingress_rule" "endpoints" {
  for_each = var.interface_endpoints ? merge(local.cidrs.tasks, { mirror = local.mirror_cidr }) : {}

  security_group_id = aws_security_group.endpoints[0].id
  description       = "HTTPS from tasks (${each.key})"
  cidr_ipv4         = each.value
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_endpoint" "interface" {
  for_each = local.interface_services

  vpc_id              = aws_vpc.this.id
  service_name        = "com.amazonaws.${var.region}.${each.key}"
  vpc_endpoint_type   = "Interface"
  private_dns_enabled = true
  subnet_ids          = [for subnet in aws_subnet.tasks : subnet.id]
  security_group_ids  = [aws_security_group.endpoints[0].id]

  tags = { Name = "${var.name}-${each.key}" }
}

# --- who talked to whom -------------------------------------------------------------------------------------------

resource "aws_cloudwatch_log_group" "flow" {
  name              = "/${replace(var.name, "-", "/")}/flow"
  retention_in_days = var.flow_log_days
  kms_key_id        = var.kms_key_arn
}

resource "aws_iam_role" "flow" {
  name = "${var.name}-flow-logs"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "vpc-flow-logs.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy" "flow" {
  name = "write"
  role = aws_iam_role.flow.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"]
      Resource = "${aws_cloudwatch_log_group.flow.arn}:*"
    }]
  })
}

resource "aws_flow_log" "this" {
  vpc_id               = aws_vpc.this.id
  traffic_type         = "ALL"
  log_destination_type = "cloud-watch-logs"
  log_destination      = aws_cloudwatch_log_group.flow.arn
  iam_role_arn         = aws_iam_role.flow.arn

  tags = { Name = var.name }
}
