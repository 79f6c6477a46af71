"""Reads the CloudFormation template: as it is written, as the transform of SAM makes it, and as given parameters resolve it.

    tests/ci/cfn.py BUCKET

prints the tables of the catalog alone, for a lake in that bucket.
"""

import copy
import json
import os
import pathlib
import re
import sys
from types import SimpleNamespace

# The transform asks for a region and takes nothing else from the environment.
os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")

from samtranslator.translator.transform import transform  # noqa: E402
from samtranslator.yaml_helper import yaml_parse  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
TEMPLATE = ROOT / "infra" / "template.yaml"
FUNCTION = "AWS::Serverless::Function"
ABSENT = object()


def raw(text=None):
    """The template as it is written, short forms of functions as long ones."""
    return yaml_parse(TEMPLATE.read_text() if text is None else text)


def packaged(template, bucket="artefacts", keys=None):
    """What `aws cloudformation package` makes of it: each local zip is an object of a bucket, by its file name or by `keys`."""
    template = copy.deepcopy(template)
    for resource in template["Resources"].values():
        if resource["Type"] == FUNCTION:
            name = pathlib.PurePosixPath(resource["Properties"]["CodeUri"]).name
            resource["Properties"]["CodeUri"] = {"Bucket": bucket, "Key": (keys or {}).get(name, name)}
    return template


def translated(template):
    """What CloudFormation sees after the transform."""
    return transform(packaged(template), {}, SimpleNamespace(load=dict))


def of_type(template, kind):
    """Resources of a type, by logical id."""
    return {name: resource for name, resource in template["Resources"].items() if resource["Type"] == kind}


def catalog(template, bucket, **given):
    """A template of the catalog's tables alone, with plain values: for readers that know less of CloudFormation, like Trino's."""
    resolved = Resolved(template, **given)
    names = {"<LakeBucket>": bucket, "<Database>": resolved.parameters["DatabaseName"]}

    def plain(value):
        if isinstance(value, dict):
            return {key: plain(part) for key, part in value.items()}
        if isinstance(value, list):
            return [plain(part) for part in value]
        for name, text in names.items() if isinstance(value, str) else ():
            value = value.replace(name, text)
        return value

    return {
        "Resources": {
            name: plain(resource) for name, resource in resolved.resources().items() if resource["Type"] == "AWS::Glue::Table"
        }
    }


class Resolved:
    """A template under given parameters. A reference to a resource stays one, as the text `<Name>` or `<Name.Attribute>`."""

    def __init__(self, template, **given):
        self.template = template
        unknown = set(given) - set(template["Parameters"])
        if unknown:
            raise KeyError(f"no such parameters: {sorted(unknown)}")
        self.parameters = {name: str(given.get(name, parameter["Default"])) for name, parameter in template["Parameters"].items()}
        self._functions = {
            "Fn::Sub": self._sub,
            "Fn::Join": self._join,
            "Fn::Split": self._split,
            "Fn::Select": self._select,
            "Fn::FindInMap": self._find_in_map,
            "Fn::If": self._if,
        }

    def condition(self, name):
        return self._truth(self.template["Conditions"][name])

    def _truth(self, test):
        ((function, argument),) = test.items()
        if function == "Condition":
            return self.condition(argument)
        if function == "Fn::Equals":
            left, right = (str(self(value)) for value in argument)
            return left == right
        if function == "Fn::Not":
            return not self._truth(argument[0])
        return {"Fn::And": all, "Fn::Or": any}[function](self._truth(part) for part in argument)

    def resources(self):
        """Resources that are made, by logical id, with their properties resolved."""
        made = {
            name: resource
            for name, resource in self.template["Resources"].items()
            if "Condition" not in resource or self.condition(resource["Condition"])
        }
        return {name: {**resource, "Properties": self(resource.get("Properties", {}))} for name, resource in made.items()}

    def __call__(self, value):
        if isinstance(value, list):
            return [found for found in map(self, value) if found is not ABSENT]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((function, argument),) = value.items()
            if function == "Ref":
                return ABSENT if argument == "AWS::NoValue" else self.parameters.get(argument, f"<{argument}>")
            if function == "Fn::GetAtt":
                return f"<{argument if isinstance(argument, str) else '.'.join(argument)}>"
            if function.startswith("Fn::"):
                return self._functions[function](argument)
        found = {key: self(part) for key, part in value.items()}
        return {key: part for key, part in found.items() if part is not ABSENT}

    def _sub(self, argument):
        text, names = argument if isinstance(argument, list) else (argument, {})
        names = {**self.parameters, **{name: str(self(value)) for name, value in names.items()}}
        text = re.sub(r"\$\{([^!}][^}]*)\}", lambda found: names.get(found[1], f"<{found[1]}>"), text)
        return text.replace("${!", "${")

    def _join(self, argument):
        return argument[0].join(str(part) for part in self(argument[1]))

    def _split(self, argument):
        return str(self(argument[1])).split(argument[0])

    def _select(self, argument):
        return self(argument[1])[int(argument[0])]

    def _find_in_map(self, argument):
        name, first, second = self(argument)
        return self.template["Mappings"][name][first][second]

    def _if(self, argument):
        return self(argument[1] if self.condition(argument[0]) else argument[2])


if __name__ == "__main__":
    print(json.dumps(catalog(raw(), sys.argv[1]), indent=1))
