"""The template on a stand-in for AWS (ministack): started, deployed with the real zips, and asked as AWS is asked."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import boto3
import botocore.config
import sqlglot

import cfn
import standin

START_SECONDS_MAX = 60
STACK = "spanlake"
ARTEFACTS = "artefacts"
FUNCTIONS = ["ingest", "grouper", "archiver"]
# Nobody is asked; the SDKs want something.
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}


class Failure(Exception):
    """Something could not be run; the text says what."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Cloud:
    """A stand-in with the deployed stack. `folder` holds its log and nothing else that lasts."""

    def __init__(self, folder, zips, parameters):
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.log = folder / "stand-in.log"
        data = folder / "s3"
        env = os.environ | CREDENTIALS | {
            "GATEWAY_PORT": str(self.port), "IOT_MTLS_ENABLED": "0", "S3_DATA_DIR": str(data), "S3_PERSIST": "1",
            "AWS_ENDPOINT_URL": self.endpoint,
        }
        command = [pathlib.Path(sys.executable).parent / "ministack"]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=env,
                                            start_new_session=True)
        self._wait()
        self.outputs = self._deploy(zips, parameters)
        secret = self.client("secretsmanager").get_secret_value(SecretId=self.outputs["Tokens"])
        self.token = next(iter(json.loads(secret["SecretString"]).values()))
        self.url = self._reachable(self.outputs["Endpoint"])

    def client(self, service):
        # A function may take its time on a busy machine, and a call that is made twice is a different test.
        config = botocore.config.Config(read_timeout=120, retries={"max_attempts": 0})
        return boto3.client(service, endpoint_url=self.endpoint, region_name=CREDENTIALS["AWS_DEFAULT_REGION"], config=config,
                            aws_access_key_id="test", aws_secret_access_key="test")

    def _wait(self):
        until = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise Failure(f"ministack ended with {self.process.returncode}: see {self.log}")
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.1)
        raise Failure(f"ministack does not listen after {START_SECONDS_MAX} s: see {self.log}")

    def _deploy(self, zips, parameters):
        s3, stacks = self.client("s3"), self.client("cloudformation")
        s3.create_bucket(Bucket=ARTEFACTS)
        for name in FUNCTIONS:
            s3.put_object(Bucket=ARTEFACTS, Key=f"{name}.zip", Body=(zips / f"{name}.zip").read_bytes())
        template = cfn.packaged(standin.for_stand_in(cfn.raw()), ARTEFACTS)
        given = [{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()]
        # It is too large to be sent as it is.
        s3.put_object(Bucket=ARTEFACTS, Key="template.json", Body=json.dumps(template).encode())
        stacks.create_stack(StackName=STACK, TemplateURL=f"{self.endpoint}/{ARTEFACTS}/template.json", Parameters=given,
                            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"])
        until = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < until:
            stack = stacks.describe_stacks(StackName=STACK)["Stacks"][0]
            if stack["StackStatus"] == "CREATE_COMPLETE":
                return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
            if "FAILED" in stack["StackStatus"] or "ROLLBACK" in stack["StackStatus"]:
                raise Failure(f"the stack is {stack['StackStatus']}: {stack.get('StackStatusReason')}; see {self.log}")
            time.sleep(0.2)
        raise Failure(f"the stack is not there after {START_SECONDS_MAX} s: see {self.log}")

    def _reachable(self, url):
        """A URL's host names the function; here it is part of the path."""
        host = url.split("//", 1)[1].split("/", 1)[0]
        return f"{self.endpoint}/_aws/lambda-url/{host.split('.', 1)[0]}"

    def post(self, path, body, headers=None, token=None):
        """Status, headers and body of an answer."""
        given = {"authorization": f"Bearer {token or self.token}", "content-type": "application/x-protobuf"} | (headers or {})
        request = urllib.request.Request(self.url + path, data=body, headers=given, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, dict(answer.headers), answer.read()
        except urllib.error.HTTPError as error:
            return error.code, dict(error.headers), error.read()

    def invoke(self, function, event):
        """Calls a function as its schedule or its event source does; gives what it answers, or raises what it fails with."""
        answer = self.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event).encode())
        payload = answer["Payload"].read()
        if "FunctionError" in answer:
            raise Failure(f"{function} failed: {payload[:2000]!r}")
        return json.loads(payload) if payload else None

    def sql(self, statement):
        """Rows of a query as dictionaries; cells as text, null as the empty text."""
        athena = self.client("athena")
        query = athena.start_query_execution(
            QueryString=sqlglot.transpile(statement, read="athena", write="duckdb")[0],
            QueryExecutionContext={"Database": self.outputs["DatabaseName"]}, WorkGroup=self.outputs["WorkgroupName"])
        until = time.monotonic() + 60
        while time.monotonic() < until:
            execution = athena.get_query_execution(QueryExecutionId=query["QueryExecutionId"])["QueryExecution"]
            if execution["Status"]["State"] == "SUCCEEDED":
                return self._rows(athena, query["QueryExecutionId"])
            if execution["Status"]["State"] in ("FAILED", "CANCELLED"):
                raise Failure(f"{statement}: {execution['Status'].get('StateChangeReason')}")
            time.sleep(0.1)
        raise Failure(f"{statement}: no answer within a minute")

    @staticmethod
    def _rows(athena, query):
        names, rows = None, []
        for page in athena.get_paginator("get_query_results").paginate(QueryExecutionId=query):
            for row in page["ResultSet"]["Rows"]:
                cells = [cell.get("VarCharValue", "") for cell in row["Data"]]
                if names is None:
                    names = cells
                else:
                    rows.append(dict(zip(names, cells)))
        return rows

    def stop(self):
        try:
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait(20)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            os.killpg(self.process.pid, signal.SIGKILL)
