"""Planted faults: each invariant and each rule for cfn-guard must find the opposite of what it asks for."""

import re


def reached(template, path):
    """What holds the end of a path, and the key of that end."""
    *way, last = path.split("/")
    place = template
    for part in way:
        place = place[int(part) if isinstance(place, list) else part]
    return place, int(last) if isinstance(place, list) else last


def at(path, value):
    """A fault that sets what is at a path; `None` removes it."""

    def plant(template):
        place, last = reached(template, path)
        if value is None:
            del place[last]
        else:
            place[last] = value

    return plant


def of(resource, path, value):
    return at(f"Resources/{resource}/Properties/{path}", value)


def statement(role, value):
    def plant(template):
        template["Resources"][role]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"].append(value)

    return plant


def second_permission(template):
    template["Resources"]["Mine"] = {
        "Type": "AWS::Lambda::Permission",
        "Properties": {
            "Action": "lambda:InvokeFunctionUrl",
            "FunctionName": {"Ref": "IngestFunction"},
            "Principal": "*",
            "FunctionUrlAuthType": "NONE",
        },
    }


def no_rule(bucket, name):
    def plant(template):
        rules = template["Resources"][bucket]["Properties"]["LifecycleConfiguration"]
        rules["Rules"] = [rule for rule in rules["Rules"] if rule.get("Id") != name]

    return plant


def text(resource, path, old, new):
    """A fault within a text."""

    def plant(template):
        place, last = reached(template, f"Resources/{resource}/Properties/{path}")
        if old not in place[last]:
            raise KeyError(f"{resource}/{path} has no {old}")
        place[last] = place[last].replace(old, new)

    return plant


def many(template):
    for number in range(500):
        template["Resources"][f"Topic{number}"] = {"Type": "AWS::SNS::Topic"}


RULES = "LifecycleConfiguration/Rules"


def of_records(name, value):
    return of("GrouperFunction", f"Events/Records/Properties/{name}", value)


def of_spans(path, value):
    return of("SpansTable", f"TableInput/{path}", value)


# What finds it, how it is planted.
FOUND_BY_INVARIANTS = [
    ("the_bill_counts_what_is_deployed", of("ArchiverFunction", "Timeout", 300)),
    ("the_bill_counts_what_is_deployed", of_records("MaximumBatchingWindowInSeconds", 10)),
    ("the_bill_counts_what_is_deployed", at("Resources/Ingest5xxAlarm", None)),
    ("the_worst_hour_of_the_page_is_the_templates", at("Parameters/IngestConcurrency/Default", 40)),
    ("the_worst_hour_of_the_page_is_the_templates", of("IngestFunction", "MemorySize", 512)),
    ("the_spend_alarm_asks_the_bills_prices", text("SpendAlarm", "Metrics/0/Expression/Fn::Sub/0", "0.035", "0.015")),
    ("the_functions_are_the_three_with_their_sizes", of("IngestFunction", "MemorySize", 128)),
    ("the_functions_are_the_three_with_their_sizes", at("Globals/Function/Architectures", ["x86_64"])),
    ("the_environment_is_what_the_functions_read", of("ArchiverFunction", "Environment/Variables/SPANLAKE_SERVICES", None)),
    ("the_environment_is_what_the_functions_read", of("GrouperFunction", "Environment/Variables/SPANLAKE_RETENTION_HOURS", "24")),
    ("concurrency_is_reserved_for_every_function", of("IngestFunction", "ReservedConcurrentExecutions", None)),
    ("concurrency_is_reserved_for_every_function", at("Mappings/Grouper/Concurrency/8", 8)),
    ("logs_are_json_quiet_and_kept_for_a_time", of("GrouperLogs", "RetentionInDays", None)),
    ("the_url_is_public_with_both_permissions_once", second_permission),
    ("the_url_is_public_with_both_permissions_once", of("IngestFunction", "FunctionUrlConfig/AuthType", "AWS_IAM")),
    (
        "browsers_may_send_only_from_origins_that_are_named",
        of("IngestFunction", "FunctionUrlConfig/Cors", {"AllowOrigins": ["*"]}),
    ),
    ("the_schedules_call_the_archiver_and_nobody_retries", of("ArchiverFunction", "EventInvokeConfig", None)),
    ("the_schedules_call_the_archiver_and_nobody_retries", of("SweepSchedule", "Target/Input", '{"task":"archive"}')),
    ("the_stream_is_provisioned_encrypted_and_keeps_two_days", of("Stream", "RetentionPeriodHours", 24)),
    ("the_stream_is_provisioned_encrypted_and_keeps_two_days", of("Stream", "StreamEncryption", None)),
    ("one_call_reads_a_shard_in_order_and_gives_nothing_up", of_records("ParallelizationFactor", 2)),
    ("one_call_reads_a_shard_in_order_and_gives_nothing_up", of_records("TumblingWindowInSeconds", 60)),
    ("one_call_reads_a_shard_in_order_and_gives_nothing_up", of_records("MaximumRetryAttempts", 100)),
    (
        "one_call_reads_a_shard_in_order_and_gives_nothing_up",
        of_records(
            "DestinationConfig", {"OnFailure": {"Type": "SQS", "Destination": "arn:aws:sqs:us-east-1:123456789012:failed"}}
        ),
    ),
    (
        "each_function_has_a_role_of_its_own_and_no_managed_policy",
        of("GrouperFunction", "Role", {"Fn::GetAtt": ["ArchiverRole", "Arn"]}),
    ),
    ("each_function_has_a_role_of_its_own_and_no_managed_policy", of("ArchiverFunction", "Role", None)),
    (
        "the_roles_grant_exactly_what_the_functions_do",
        statement(
            "GrouperRole",
            {"Effect": "Allow", "Action": ["s3:DeleteObject"], "Resource": {"Fn::Sub": "${StateBucket.Arn}/staged/*"}},
        ),
    ),
    (
        "the_roles_grant_exactly_what_the_functions_do",
        statement(
            "IngestRole", {"Effect": "Allow", "Action": "s3:GetObject", "Resource": {"Fn::Sub": "${LakeBucket.Arn}/lake/v1/*"}}
        ),
    ),
    ("no_role_has_a_wildcard", statement("IngestRole", {"Effect": "Allow", "Action": "kinesis:ListStreams", "Resource": "*"})),
    (
        "no_role_has_a_wildcard",
        statement("IngestRole", {"Effect": "Allow", "Action": "kinesis:*", "Resource": {"Ref": "Stream"}}),
    ),
    (
        "every_bucket_is_private_encrypted_and_over_tls",
        of("LakeBucket", "PublicAccessBlockConfiguration/BlockPublicPolicy", False),
    ),
    ("every_bucket_is_private_encrypted_and_over_tls", of("ResultsBucketPolicy", "PolicyDocument/Statement/0/Effect", "Allow")),
    ("every_bucket_is_private_encrypted_and_over_tls", at("Resources/StateBucket/DeletionPolicy", "Delete")),
    ("the_lake_gets_cold_and_goes_when_the_parameters_say", of("LakeBucket", f"{RULES}/1/ExpirationInDays", {"Ref": "KeptDays"})),
    ("the_lake_gets_cold_and_goes_when_the_parameters_say", at("Conditions/HasColdClass", {"Condition": "HasCors"})),
    ("the_lake_gets_cold_and_goes_when_the_parameters_say", of("LakeBucket", "VersioningConfiguration", {"Status": "Enabled"})),
    ("the_state_expires_only_as_a_backstop", no_rule("StateBucket", "page")),
    ("the_state_expires_only_as_a_backstop", of("StateBucket", f"{RULES}/2/ExpirationInDays", 1)),
    ("the_state_expires_only_as_a_backstop", of("StateBucket", "VersioningConfiguration", {"Status": "Suspended"})),
    ("every_table_of_the_code_is_in_the_catalog", at("Resources/TracesTable", None)),
    ("every_table_of_the_code_is_in_the_catalog", of_spans("StorageDescriptor/Columns/3/Type", "binary")),
    ("every_table_of_the_code_is_in_the_catalog", of_spans("Parameters/projection.hour.digits", "1")),
    ("a_table_shows_as_many_days_as_are_kept", of_spans("Parameters/projection.dt.range", "NOW-30DAYS,NOW")),
    ("every_saved_query_of_the_code_is_there_and_reads_by_date", at("Resources/ErrorsQuery", None)),
    ("every_saved_query_of_the_code_is_there_and_reads_by_date", text("ErrorsQuery", "QueryString", "dt >= ", "'a' <= ")),
    (
        "the_workgroup_holds_queries_to_its_settings",
        of("Workgroup", "WorkGroupConfiguration/EnforceWorkGroupConfiguration", False),
    ),
    ("every_alarm_goes_to_the_topic_and_says_what_to_do", of("SpendAlarm", "AlarmActions", [])),
    (
        "every_alarm_goes_to_the_topic_and_says_what_to_do",
        of("QuarantineAlarm", "AlarmDescription", "Records are in quarantine."),
    ),
    ("every_alarm_goes_to_the_topic_and_says_what_to_do", of("ArchiverStoppedAlarm", "TreatMissingData", "notBreaching")),
    ("every_alarm_has_a_section_of_the_runbook", of("QuarantineAlarm", "AlarmName", {"Fn::Sub": "${AWS::StackName}-poison"})),
    ("every_alarm_has_a_section_of_the_runbook", at("Resources/SpendAlarm", None)),
    ("the_alarms_are_at_the_marks_that_were_promised", of("IteratorAgeHalfAlarm", "Threshold", 43_200_000)),
    (
        "the_alarms_are_at_the_marks_that_were_promised",
        text("DroppedItemsAlarm", "Metrics/0/Expression", "DIFF(dropped)", "dropped"),
    ),
    ("named_services_have_five_alarms_each", at("Resources/Service2P99Alarm", None)),
    ("named_services_have_five_alarms_each", at("Resources/Service5DropAlarm/Condition", "HasService4")),
    ("alarms_and_dashboard_read_metrics_that_exist", of("ArchiveLagAlarm", "MetricName", "ArchiveLag")),
    ("alarms_and_dashboard_read_metrics_that_exist", text("Dashboard", "DashboardBody/Fn::Sub/0", '"PendingItems"', '"Pending"')),
    ("the_spend_is_counted_at_the_price_of_the_processor", of("GrouperFunction", "MemorySize", 3008)),
    (
        "the_spend_is_counted_at_the_price_of_the_processor",
        text("Dashboard", "DashboardBody/Fn::Sub/0", "0.0000002", "0.0000004"),
    ),
    ("a_budget_is_only_made_when_it_is_asked_for", at("Resources/Budget/Condition", "HasEmail")),
    ("every_parameter_has_a_default_and_a_description", at("Parameters/AlarmEmail/Default", None)),
    ("every_parameter_has_a_default_and_a_description", at("Parameters/Mine", {"Type": "String", "Default": "x"})),
    ("parameters_take_what_is_meant_and_nothing_else", at("Parameters/Services/AllowedPattern", ".*")),
    ("tokens_are_generated_and_nowhere_else", of("TokensSecret", "GenerateSecretString/PasswordLength", 8)),
    ("it_is_small_enough_for_cloudformation", many),
    ("the_outputs_are_what_guides_and_tests_read", at("Outputs/Endpoint", None)),
    ("the_guides_name_outputs_and_parameters_that_exist", at("Parameters/SpendPerHour", None)),
    ("the_guides_name_outputs_and_parameters_that_exist", at("Outputs/Tokens", None)),
    ("the_stand_in_gets_all_but_what_it_lacks", at("Outputs/Mine", {"Description": "x", "Value": {"Ref": "ErrorsQuery"}})),
    ("the_stand_in_gets_all_but_what_it_lacks", of("AlarmTopic", "DisplayName", {"Ref": "ErrorsQuery"})),
]

FOUND_BY_GUARD = [
    ("one_writer_for_each_shard", of("GrouperFunctionRecords", "ParallelizationFactor", 2)),
    ("nothing_is_given_up_or_diverted", of("GrouperFunctionRecords", "BisectBatchOnFunctionError", True)),
    ("nothing_is_given_up_or_diverted", of("GrouperFunctionRecords", "DestinationConfig", {"OnFailure": {"Destination": "x"}})),
    ("the_stream_keeps_two_days_encrypted", of("Stream", "RetentionPeriodHours", 24)),
    ("buckets_are_private_and_encrypted", of("ResultsBucket", "OwnershipControls", None)),
    ("buckets_are_private_and_encrypted", no_rule("LakeBucket", "unfinished-uploads")),
    ("buckets_are_read_over_tls_only", of("LakeBucketPolicy", "PolicyDocument/Statement/0/Condition", None)),
    ("functions_are_bounded_and_say_where_they_log", of("ArchiverFunction", "ReservedConcurrentExecutions", None)),
    (
        "roles_have_no_managed_policy_and_no_star",
        statement("IngestRole", {"Effect": "Allow", "Action": ["kinesis:*"], "Resource": {"Fn::GetAtt": ["Stream", "Arn"]}}),
    ),
    (
        "roles_have_no_managed_policy_and_no_star",
        statement("IngestRole", {"Effect": "Allow", "Action": ["kinesis:ListStreams"], "Resource": "*"}),
    ),
    ("tables_are_projected_and_found", of_spans("Parameters/projection.hour.digits", None)),
    ("the_workgroup_is_enforced_with_a_cutoff", of("Workgroup", "WorkGroupConfiguration/BytesScannedCutoffPerQuery", None)),
    ("logs_do_not_stay_for_ever", of("IngestLogs", "RetentionInDays", None)),
    ("alarms_reach_somebody", of("SpendAlarm", "AlarmActions", [])),
]


def rules_of(guard):
    """The names of a file's rules for cfn-guard."""
    return re.findall(r"^rule (\w+)", guard, re.M)
