"""What the template must be, whatever a linter thinks of it. Each check gets the template and raises `Wrong`, or returns."""

import json
import re

import standin
from cfn import FUNCTION, ROOT, Resolved, of_type, translated

FUNCTIONS = ["Ingest", "Grouper", "Archiver"]
BUCKETS = ["StateBucket", "LakeBucket", "ResultsBucket"]
RETENTION_HOURS = 48
GUIDES = ROOT / "docs/guides"
PREFIXES = re.findall(r'pub const \w+: &str = "(\w+/)";', (ROOT / "shared/pipeline/src/keys.rs").read_text())
NEVER_EXPIRE = ["lineage/", "manifest/", "plan/", "rules/"]
BYTES_MAX, RESOURCES_MAX = 1_000_000, 500


class Wrong(Exception):
    """What does not hold."""


CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


def equal(got, expected, what):
    if got != expected:
        raise Wrong(f"{what}: {got!r} where {expected!r} is expected")


def holds(is_so, what):
    if not is_so:
        raise Wrong(what)


# --- functions -----------------------------------------------------------------------------------------------------------


def functions(template, **given):
    made = Resolved(template, **given).resources()
    return {name: made[f"{name}Function"]["Properties"] for name in FUNCTIONS}


@check
def the_functions_are_the_three_with_their_sizes(template):
    equal(sorted(of_type(template, FUNCTION)), sorted(f"{name}Function" for name in FUNCTIONS), "functions")
    common = template["Globals"]["Function"]
    equal((common["Runtime"], common["Handler"]), ("provided.al2023", "bootstrap"), "runtime and handler")
    for architecture in ("arm64", "x86_64"):
        equal(Resolved(template, Architecture=architecture)(common["Architectures"]), [architecture], "processor")
    equal(Resolved(template).parameters["Architecture"], "arm64", "processor by default")
    for name, memory in zip(FUNCTIONS, (256, 1769, 1024)):
        equal(functions(template)[name]["MemorySize"], memory, f"memory of {name}")
        equal(functions(template)[name]["CodeUri"], f"../target/lambda/{name.lower()}.zip", f"zip of {name}")


@check
def the_environment_is_what_the_functions_read(template):
    stream = {"SPANLAKE_STREAM": "<Stream>", "SPANLAKE_DEPLOYMENT": "<AWS::StackName>"}
    buckets = {
        "SPANLAKE_STATE_BUCKET": "<StateBucket>",
        "SPANLAKE_LAKE_BUCKET": "<LakeBucket>",
        "SPANLAKE_RETENTION_HOURS": str(RETENTION_HOURS),
    }
    expected = [
        {**stream, "SPANLAKE_TOKENS": "<TokensSecret>"},
        {**stream, **buckets},
        {**stream, **buckets, "SPANLAKE_SERVICES": "shop,cart"},
    ]
    for name, variables in zip(FUNCTIONS, expected):
        equal(functions(template, Services="shop,cart")[name]["Environment"]["Variables"], variables, f"environment of {name}")


@check
def concurrency_is_reserved_for_every_function(template):
    for shards in template["Parameters"]["Shards"]["AllowedValues"]:
        made = functions(template, Shards=shards)
        got = [int(made[name]["ReservedConcurrentExecutions"]) for name in FUNCTIONS]
        # While shards are split or merged, as many old ones are read beside the new ones.
        equal(got, [20, 2 * int(shards) + 2, 2], f"reserved concurrency with {shards} shards")
    off = functions(template, ReserveConcurrency="false")
    holds(not any("ReservedConcurrentExecutions" in off[name] for name in FUNCTIONS), "ReserveConcurrency=false reserves")


@check
def logs_are_json_quiet_and_kept_for_a_time(template):
    made = Resolved(template).resources()
    for name in FUNCTIONS:
        config = {"LogFormat": "JSON", "SystemLogLevel": "WARN", "LogGroup": f"<{name}Logs>"}
        equal(made[f"{name}Function"]["Properties"]["LoggingConfig"], config, f"logging of {name}")
        equal(made[f"{name}Logs"]["Properties"]["RetentionInDays"], "14", f"days of {name}Logs")
    equal(sorted(of_type(template, "AWS::Logs::LogGroup")), sorted(f"{name}Logs" for name in FUNCTIONS), "log groups")


@check
def the_url_is_public_with_both_permissions_once(template):
    made = translated(template)
    url = of_type(made, "AWS::Lambda::Url")
    equal([resource["Properties"]["AuthType"] for resource in url.values()], ["NONE"], "URLs")
    found = sorted(
        (
            permission["Properties"]["Action"],
            str(permission["Properties"].get("FunctionUrlAuthType")),
            str(permission["Properties"].get("InvokedViaFunctionUrl")),
            str(permission["Properties"]["Principal"]),
        )
        for permission in of_type(made, "AWS::Lambda::Permission").values()
    )
    equal(
        found, [("lambda:InvokeFunction", "None", "True", "*"), ("lambda:InvokeFunctionUrl", "NONE", "None", "*")], "permissions"
    )


@check
def browsers_may_send_only_from_origins_that_are_named(template):
    holds("Cors" not in functions(template)["Ingest"]["FunctionUrlConfig"], "browsers may send by default")
    cors = functions(template, CorsOrigins="https://a.example,https://b.example")["Ingest"]["FunctionUrlConfig"]["Cors"]
    equal(cors["AllowOrigins"], ["https://a.example", "https://b.example"], "origins")
    equal(cors["AllowMethods"], ["POST"], "methods")
    holds(
        {"authorization", "content-type", "content-encoding", "traceparent"} <= set(cors["AllowHeaders"]), "headers are missing"
    )
    holds("AllowCredentials" not in cors, "cookies are of no use here")


@check
def the_schedules_call_the_archiver_and_nobody_retries(template):
    made = Resolved(template).resources()
    none = {"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 60}
    for name, rate, task in (("Archive", "rate(1 minute)", "archive"), ("Sweep", "rate(3 hours)", "sweep")):
        schedule = made[f"{name}Schedule"]["Properties"]
        equal((schedule["ScheduleExpression"], schedule.get("State", "ENABLED")), (rate, "ENABLED"), f"{name}Schedule")
        equal(
            schedule["Target"],
            {
                "Arn": "<ArchiverFunction.Arn>",
                "RoleArn": "<ScheduleRole.Arn>",
                "Input": f'{{"task":"{task}"}}',
                "RetryPolicy": none,
            },
            f"target of {name}Schedule",
        )
    equal(made["ArchiverFunction"]["Properties"]["EventInvokeConfig"], none, "retries of Lambda itself")


# --- the stream ----------------------------------------------------------------------------------------------------------


@check
def the_stream_is_provisioned_encrypted_and_keeps_two_days(template):
    for given, key in (({}, "alias/aws/kinesis"), ({"StreamKeyArn": "arn:k"}, "arn:k")):
        stream = Resolved(template, **given).resources()["Stream"]["Properties"]
        equal(stream["StreamEncryption"], {"EncryptionType": "KMS", "KeyId": key}, "encryption of the stream")
        equal(stream["RetentionPeriodHours"], RETENTION_HOURS, "retention of the stream")
        equal((stream["StreamModeDetails"], stream["ShardCount"]), ({"StreamMode": "PROVISIONED"}, "1"), "shards")


@check
def one_call_reads_a_shard_in_order_and_gives_nothing_up(template):
    expected = {
        "StartingPosition": "TRIM_HORIZON",
        "BatchSize": 10000,
        "MaximumBatchingWindowInSeconds": 5,
        "ParallelizationFactor": 1,
        "BisectBatchOnFunctionError": False,
        "MaximumRetryAttempts": -1,
        "MaximumRecordAgeInSeconds": -1,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
    }
    mappings = Resolved(translated(template) | {"Parameters": template["Parameters"]}).resources()
    mappings = [resource["Properties"] for resource in mappings.values() if resource["Type"] == "AWS::Lambda::EventSourceMapping"]
    # Nothing else: no tumbling window, no destination, no filter.
    targets = {"EventSourceArn": "<Stream.Arn>", "FunctionName": "<GrouperFunction>"}
    equal(mappings, [{**targets, **expected}], "the event source")


# --- roles ---------------------------------------------------------------------------------------------------------------


def statements(template, role, **given):
    policies = Resolved(template, **given).resources()[f"{role}Role"]["Properties"]["Policies"]
    return [statement for policy in policies for statement in policy["PolicyDocument"]["Statement"]]


def grants(template, role, **given):
    """Pairs of action and resource."""
    pairs = set()
    for statement in statements(template, role, **given):
        holds(
            set(statement) == {"Effect", "Action", "Resource"} and statement["Effect"] == "Allow", f"odd statement in {role}Role"
        )
        several = lambda value: value if isinstance(value, list) else [value]  # noqa: E731
        pairs |= {(action, place) for action in several(statement["Action"]) for place in several(statement["Resource"])}
    return pairs


@check
def each_function_has_a_role_of_its_own_and_no_managed_policy(template):
    made = translated(template)
    roles = of_type(made, "AWS::IAM::Role")
    equal(sorted(roles), sorted([f"{name}Role" for name in FUNCTIONS] + ["ScheduleRole"]), "roles")
    holds(not any("ManagedPolicyArns" in role["Properties"] for role in roles.values()), "a role has a managed policy")
    for name, properties in functions(template).items():
        equal(properties["Role"], f"<{name}Role.Arn>", f"role of {name}")
        holds("Policies" not in properties, f"{name} has policies beside its role")


@check
def the_roles_grant_exactly_what_the_functions_do(template):
    def objects(action, bucket, *prefixes):
        return {(f"s3:{action}", f"<{bucket}.Arn>/{prefix}*") for prefix in prefixes}

    def on_stream(*actions):
        return {(f"kinesis:{action}", "<Stream.Arn>") for action in actions}

    swept = ["staged/", "seen/", "decisions/", "sealed/", "page/", "plan/"]
    grouper_writes = ["staged/", "seen/", "decisions/", "sealed/", "page/", "manifest/", "quarantine/"]
    listing = {("s3:ListBucket", "<StateBucket.Arn>")}
    expected = {
        "Ingest": on_stream("ListShards", "PutRecords") | {("secretsmanager:GetSecretValue", "<TokensSecret>")},
        "Grouper": on_stream(
            "DescribeStream", "DescribeStreamSummary", "GetRecords", "GetShardIterator", "ListShards", "PutRecords"
        )
        | objects("GetObject", "StateBucket", *PREFIXES)
        | objects("PutObject", "StateBucket", *grouper_writes)
        | listing,
        "Archiver": on_stream("ListShards", "PutRecords")
        | objects("GetObject", "StateBucket", *PREFIXES)
        | objects("PutObject", "StateBucket", "page/", "manifest/", "lineage/", "plan/", "rules/")
        | objects("DeleteObjectVersion", "StateBucket", *swept)
        | listing
        | {("s3:ListBucketVersions", "<StateBucket.Arn>")}
        | {(f"s3:{action}", "<LakeBucket.Arn>/lake/v1/*") for action in ("GetObject", "PutObject", "DeleteObject")}
        | {("s3:ListBucket", "<LakeBucket.Arn>")},
    }
    for name, pairs in expected.items():
        own = {(f"logs:{action}", f"<{name}Logs.Arn>") for action in ("CreateLogStream", "PutLogEvents")}
        got = grants(template, name)
        equal((sorted(got - pairs - own), sorted((pairs | own) - got)), ([], []), f"{name}Role grants too much, or too little")
        with_key = grants(template, name, StreamKeyArn="arn:k") - got
        keys = {"kms:GenerateDataKey"} | ({"kms:Decrypt"} if name == "Grouper" else set())
        equal(with_key, {(action, "arn:k") for action in keys}, f"{name}Role with a key of one's own")
    equal(grants(template, "Schedule"), {("lambda:InvokeFunction", "<ArchiverFunction.Arn>")}, "ScheduleRole")


@check
def no_role_has_a_wildcard(template):
    for name in [*FUNCTIONS, "Schedule"]:
        for action, place in grants(template, name, StreamKeyArn="arn:k"):
            # Below a prefix of a bucket anything may lie; everywhere else a star is a mistake.
            holds(
                "*" not in action and "*" not in re.sub(r"^(<\w+Bucket\.Arn>/[a-z0-9/]+/)\*$", r"\1", place),
                f"{action} on {place}",
            )


# --- buckets -------------------------------------------------------------------------------------------------------------


@check
def every_bucket_is_private_encrypted_and_over_tls(template):
    made = Resolved(template).resources()
    equal(sorted(of_type(template, "AWS::S3::Bucket")), sorted(BUCKETS), "buckets")
    for name in BUCKETS:
        bucket, policy = made[name]["Properties"], made[f"{name}Policy"]["Properties"]
        equal(set(bucket["PublicAccessBlockConfiguration"].values()), {True}, f"public access of {name}")
        equal(len(bucket["PublicAccessBlockConfiguration"]), 4, f"public access of {name}")
        equal(bucket["OwnershipControls"]["Rules"], [{"ObjectOwnership": "BucketOwnerEnforced"}], f"ownership of {name}")
        encryption = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        equal(encryption, [{"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}], f"encryption of {name}")
        tls = {
            "Sid": "OnlyTls",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [f"<{name}.Arn>", f"<{name}.Arn>/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
        equal((policy["Bucket"], policy["PolicyDocument"]["Statement"]), (f"<{name}>", [tls]), f"policy of {name}")
        holds(
            {"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}}.items()
            <= lifecycle(template, name)["unfinished-uploads"].items(),
            f"{name} keeps unfinished uploads",
        )
        keeps = (made[name]["DeletionPolicy"], made[name]["UpdateReplacePolicy"])
        equal(keeps, ("RetainExceptOnCreate", "Retain"), f"what deletes {name}")


def lifecycle(template, bucket, **given):
    rules = Resolved(template, **given).resources()[bucket]["Properties"]["LifecycleConfiguration"]["Rules"]
    holds(all(rule["Status"] == "Enabled" for rule in rules), f"a rule of {bucket} is off")
    return {rule["Id"]: rule for rule in rules}


@check
def the_lake_gets_cold_and_goes_when_the_parameters_say(template):
    def rules(**given):
        found = lifecycle(template, "LakeBucket", **given)
        equal({rule.get("Prefix") for rule in found.values()}, {None, "lake/v1/"}, "prefixes of the lake's rules")
        cold = found.get("cold")
        holds(
            cold is None or cold["ObjectSizeGreaterThan"] == "4194304" and len(cold["Transitions"]) == 1, "files that are moved"
        )
        return str(found["delete"]["ExpirationInDays"]), cold and tuple(cold["Transitions"][0].values())

    equal(rules(), ("30", ("GLACIER_IR", "7")), "the lake by default")
    equal(rules(ColdClass="STANDARD_IA", HotDays=9, KeptDays=90), ("90", ("STANDARD_IA", "9")), "the lake by parameters")
    equal(rules(ColdClass="NONE"), ("30", None), "the lake without a cold class")
    equal(rules(Retention="development"), ("1", None), "the lake in development")
    holds("VersioningConfiguration" not in template["Resources"]["LakeBucket"]["Properties"], "the lake keeps versions")


@check
def the_state_expires_only_as_a_backstop(template):
    rules = lifecycle(template, "StateBucket")
    equal(template["Resources"]["StateBucket"]["Properties"]["VersioningConfiguration"], {"Status": "Enabled"}, "versioning")
    equal(rules.pop("delete-markers").get("ExpiredObjectDeleteMarker"), True, "markers of what was deleted")
    rules.pop("unfinished-uploads")
    equal(sorted(rule["Prefix"] for rule in rules.values()), sorted(PREFIXES), "prefixes with a rule")
    for rule in rules.values():
        versions = rule["NoncurrentVersionExpiration"]
        equal(versions["NoncurrentDays"], 1, f"older versions of {rule['Prefix']}")
        if rule["Prefix"] in NEVER_EXPIRE:
            holds("ExpirationInDays" not in rule and versions["NewerNoncurrentVersions"] > 0, f"{rule['Prefix']} expires")
        else:
            equal(rule["ExpirationInDays"], 14, f"days of {rule['Prefix']}")


# --- SQL -----------------------------------------------------------------------------------------------------------------


@check
def every_table_of_the_code_is_in_the_catalog(template):
    paths = {path.stem: path.read_text() for path in (ROOT / "infra/athena/tables").glob("*.sql")}
    made = Resolved(template).resources()
    tables = {
        resource["Properties"]["TableInput"]["Name"]: resource["Properties"]
        for resource in made.values()
        if resource["Type"] == "AWS::Glue::Table"
    }
    equal(sorted(tables), sorted(paths), "tables")
    for name, properties in tables.items():
        table = properties["TableInput"]
        columns = [(column["Name"], column["Type"]) for column in table["StorageDescriptor"]["Columns"]]
        equal(columns, re.findall(r"^  `(\w+)` (.+?),?$", paths[name], re.M), f"columns of {name}")
        equal(properties["DatabaseName"], "<Database>", f"database of {name}")
        place = f"s3://<LakeBucket>/lake/v1/{name}/"
        keys = dict(re.findall(r"^  '([\w.]+)' = '(.+)'", paths[name], re.M))
        keys = {key: value.replace("${LakeBucket}", "<LakeBucket>").replace("${LakeDays}", "30") for key, value in keys.items()}
        equal({**keys, "EXTERNAL": "TRUE", "classification": "parquet"}, table["Parameters"], f"properties of {name}")
        equal(table["Parameters"]["storage.location.template"], place + "dt=${dt}/hour=${hour}/", f"partitions of {name}")
        equal(table["Parameters"]["projection.hour.digits"], "2", f"digits of the hour of {name}")
        equal(table["StorageDescriptor"]["Location"], place, f"place of {name}")
        equal(
            table["PartitionKeys"],
            [{"Name": "dt", "Type": "string"}, {"Name": "hour", "Type": "string"}],
            f"partitions of {name}",
        )


@check
def a_table_shows_as_many_days_as_are_kept(template):
    for given, days in (({}, "30"), ({"KeptDays": 90}, "90"), ({"Retention": "development"}, "1")):
        made = Resolved(template, **given).resources()
        ranges = {
            resource["Properties"]["TableInput"]["Parameters"]["projection.dt.range"]
            for resource in made.values()
            if resource["Type"] == "AWS::Glue::Table"
        }
        equal(ranges, {f"NOW-{days}DAYS,NOW"}, f"days that tables show with {given}")


@check
def every_saved_query_of_the_code_is_there_and_reads_by_date(template):
    paths = {path.stem: path.read_text() for path in (ROOT / "infra/athena/queries").glob("*.sql")}
    queries = {
        query["Properties"]["Name"]: query["Properties"] for query in of_type(template, "AWS::Athena::NamedQuery").values()
    }
    equal(sorted(queries), sorted(paths), "saved queries")
    tables = "|".join(path.stem for path in (ROOT / "infra/athena/tables").glob("*.sql"))
    for name, query in queries.items():
        comment, _, statement = paths[name].partition("\n")
        equal(query["QueryString"].strip(), statement.strip().removesuffix(";"), f"query {name}")
        equal(query["Description"], comment.removeprefix("-- ").partition(". Generated")[0], f"description of {name}")
        equal((query["Database"], query["WorkGroup"]), ({"Ref": "Database"}, {"Ref": "Workgroup"}), f"place of {name}")
        read = len(re.findall(rf"\b(?:FROM|JOIN) (?:{tables})\b", statement))
        holds(0 < read <= len(re.findall(r"\bdt >= ", statement)), f"{name} reads a table without a date")


@check
def the_workgroup_holds_queries_to_its_settings(template):
    workgroup = Resolved(template).resources()["Workgroup"]["Properties"]["WorkGroupConfiguration"]
    equal(workgroup["EnforceWorkGroupConfiguration"], True, "enforced")
    equal(workgroup["BytesScannedCutoffPerQuery"], "100000000000", "most bytes that a query scans")
    result = workgroup["ResultConfiguration"]
    equal(result["OutputLocation"], "s3://<ResultsBucket>/", "place of results")
    equal(result["EncryptionConfiguration"], {"EncryptionOption": "SSE_S3"}, "encryption of results")
    holds("ExpirationInDays" in lifecycle(template, "ResultsBucket")["results"], "results are kept for ever")


# --- the template as a whole ---------------------------------------------------------------------------------------------


@check
def every_parameter_has_a_default_and_a_description(template):
    grouped = [
        name
        for group in template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
        for name in group["Parameters"]
    ]
    equal(sorted(grouped), sorted(template["Parameters"]), "parameters in groups")
    for name, parameter in template["Parameters"].items():
        holds("Default" in parameter and len(parameter.get("Description", "")) > 20, f"{name} has no default or description")
        pattern, default = parameter.get("AllowedPattern"), str(parameter["Default"])
        holds(pattern is None or re.fullmatch(pattern, default) is not None, f"the default of {name} is not allowed")
        holds(default in map(str, parameter.get("AllowedValues", [default])), f"the default of {name} is not allowed")


@check
def parameters_take_what_is_meant_and_nothing_else(template):
    cases = {
        "Services": (["", "shop", "shop,cart", "web shop,cart"], [",", "shop,", "shop, cart", ",shop"]),
        "CorsOrigins": (
            ["", "*", "https://a.example", "https://a.example,http://localhost:8080"],
            ["a.example", "https://a.example,", ","],
        ),
        "StreamKeyArn": (
            ["", "arn:aws:kms:eu-west-1:123456789012:key/1-2"],
            ["alias/x", "arn:aws:kms:eu-west-1:123456789012:alias/x"],
        ),
        "DatabaseName": (["spanlake", "otel_2"], ["", "Spanlake", "a-b", "2a"]),
        "AlarmEmail": (["", "me@example.com"], ["me", "a b@c"]),
    }
    for name, (good, bad) in cases.items():
        pattern = template["Parameters"][name]["AllowedPattern"]
        for value, is_good in [(value, True) for value in good] + [(value, False) for value in bad]:
            equal(re.fullmatch(pattern, value) is not None, is_good, f"{name}={value!r} is allowed")


@check
def tokens_are_generated_and_nowhere_else(template):
    secret = template["Resources"]["TokensSecret"]["Properties"]
    generated = secret["GenerateSecretString"]
    equal((generated["SecretStringTemplate"], generated["GenerateStringKey"]), ("{}", "first"), "keys of the secret")
    holds(generated["PasswordLength"] >= 32 and generated["ExcludePunctuation"], "the token is weak, or no header value")
    holds(
        "SecretString" not in secret and not any("NoEcho" in parameter for parameter in template["Parameters"].values()),
        "a secret is in the template",
    )


@check
def it_is_small_enough_for_cloudformation(template):
    size = len((ROOT / "infra/template.yaml").read_bytes())
    made = translated(template)
    holds(max(size, len(json.dumps(made))) < BYTES_MAX, f"{size} bytes")
    holds(len(made["Resources"]) < RESOURCES_MAX, f"{len(made['Resources'])} resources")


@check
def the_outputs_are_what_guides_and_tests_read(template):
    expected = [
        "AlarmTopicArn",
        "ArchiverFunctionName",
        "DashboardUrl",
        "DatabaseName",
        "Endpoint",
        "GrouperFunctionName",
        "IngestFunctionName",
        "LakeBucketName",
        "ResultsBucketName",
        "StateBucketName",
        "StreamName",
        "Tokens",
        "WorkgroupName",
    ]
    equal(sorted(template["Outputs"]), expected, "outputs")
    holds(all(output.get("Description") for output in template["Outputs"].values()), "an output has no description")


@check
def the_guides_name_outputs_and_parameters_that_exist(template):
    text = "".join(path.read_text() for path in sorted(GUIDES.glob("aws*.md")))
    for kind, pattern in (("Outputs", r"\bout ([A-Z]\w+)"), ("Parameters", r"\b([A-Z][a-z]\w+)=[\w@.:/]+")):
        named = set(re.findall(pattern, text))
        holds(named and named <= set(template[kind]), f"{kind} that are none: {sorted(named - set(template[kind]))}")


@check
def the_stand_in_gets_all_but_what_it_lacks(template):
    changed = standin.for_stand_in(template)
    equal(
        {key: part for key, part in changed.items() if key != "Resources"},
        {key: part for key, part in template.items() if key != "Resources"},
        "what is around the resources",
    )
    removed = {name: resource for name, resource in template["Resources"].items() if name not in changed["Resources"]}
    holds(
        all(changed["Resources"][name] == template["Resources"][name] for name in changed["Resources"]), "a resource is another"
    )
    for name, resource in removed.items():
        kind = resource["Type"]
        is_lacking = kind == "AWS::Athena::NamedQuery" or kind == "AWS::CloudWatch::Alarm" and "Metrics" in resource["Properties"]
        holds(is_lacking, f"{name} is removed without need")
    # An entry that removes nothing is stale.
    for kind, applies, _ in standin.REMOVED:
        holds(
            any(resource["Type"] == kind and applies(resource) for resource in removed.values()), f"nothing of {kind} is removed"
        )
    for kind, name in standin.IGNORED:
        holds(
            any(name in resource["Properties"] for resource in of_type(template, kind).values()), f"nothing of {kind} has {name}"
        )
    holds(not any(f'"{name}"' in json.dumps(changed) for name in removed), "something that stays refers to what is removed")
