"""The template as the local stand-in for AWS (ministack) takes it: the same, less what it refuses a whole stack for.

It is larger than a request may hold: put it into a bucket of the stand-in, and give CreateStack its `TemplateURL`.
"""

import copy

# What is removed, each with what is lost by it. A predicate sees the resource.
REMOVED = [
    ("AWS::Athena::NamedQuery", lambda resource: True, "it refuses the type; the saved queries are run as texts instead"),
    (
        "AWS::CloudWatch::Alarm",
        lambda resource: "Metrics" in resource["Properties"],
        "it refuses alarms over expressions; those over one metric are made",
    ),
]

# What it takes and does not do. Nothing that runs on it shows these: the checks of the template assert them.
IGNORED = [
    ("AWS::S3::Bucket", "LifecycleConfiguration"),
    ("AWS::Kinesis::Stream", "StreamEncryption"),
    ("AWS::Serverless::Function", "ReservedConcurrentExecutions"),
]


def is_removed(resource):
    return any(resource["Type"] == kind and applies(resource) for kind, applies, _ in REMOVED)


def for_stand_in(template):
    """The raw template, transform included, without what the stand-in lacks; upload its zips with `cfn.packaged`."""
    template = copy.deepcopy(template)
    template["Resources"] = {name: resource for name, resource in template["Resources"].items() if not is_removed(resource)}
    return template
