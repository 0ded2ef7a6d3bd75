# SPDX-License-Identifier: ISC
"""Holds what the tests ask, and what they are answered, to doc/openapi.yaml:
path, method, status, media type, and each member of the JSON."""

import functools
import json
import re
from urllib.parse import parse_qsl, urlsplit

try:
    from jsonschema import Draft202012Validator
except ImportError:
    Draft202012Validator = None

# Of many results a part is looked at.
FIRST, LAST = 100, 5
# An answer is often the same as the one before.
SMALL = 4096


def pattern_of(path):
    pattern = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path))
    return re.compile(pattern + "?" if path.endswith("/") else pattern)


def media_type(value):
    return value.partition(";")[0].strip().lower() if value else None


def some_of(items):
    return items if len(items) <= FIRST + LAST else (
        items[:FIRST] + items[-LAST:])


def values_of(media, body):
    """The JSON values of a body, of those that their schema is for."""
    if media == "application/x-ndjson":
        return [json.loads(line) for line in
                some_of([line for line in body.split(b"\n") if line.strip()])]
    if media.endswith("json"):
        value = json.loads(body)
        return [some_of(value) if isinstance(value, list) else value]
    return [body.decode()]


class Contract:
    def __init__(self, document):
        self.document = document
        self.paths = [(pattern_of(path), item)
                      for path, item in document["paths"].items()]
        self.any = document["components"]["responses"]["Any"]

    def at(self, node):
        """What a node, or its reference, says."""
        while "$ref" in node:
            name = node["$ref"]
            node = self.document
            for part in name[2:].split("/"):
                node = node[part]
        return node

    @functools.lru_cache(maxsize=None)
    def validator(self, schema):
        """Of a schema as text: what can be kept."""
        return Draft202012Validator(
            {**json.loads(schema), "components": self.document["components"]})

    def faults(self, schema, value):
        for error in self.validator(json.dumps(schema)).iter_errors(value):
            yield "/%s: %s" % (
                "/".join(map(str, error.absolute_path)), error.message[:300])
            for inner in error.context or ():
                yield "    " + inner.message[:300]

    def operation(self, method, path):
        """It, or None, and the path's item."""
        for pattern, item in self.paths:
            if pattern.fullmatch(path):
                found = item.get(method.lower())
                if method == "HEAD" and "delete" not in item:
                    found = item.get("get")
                return found, item
        return None, {}

    def content_faults(self, content, media, body):
        if "*/*" in content:  # whatever it is
            return
        if media not in content:
            yield "%s is not described" % media
            return
        for value in values_of(media, body):
            yield from self.faults(content[media].get("schema", {}), value)

    def answer_faults(self, operation, status, media, body):
        responses = operation["responses"] if operation else {}
        answer = self.at(responses.get(str(status), self.any))
        if answer is self.any and status not in self.any["x-statuses"]:
            yield "status %d is not described" % status
        elif body:
            yield from self.content_faults(
                answer.get("content", {}), media, body)

    def request_faults(self, operation, item, query, media, body):
        """Of one that was done."""
        known = {p["name"] for p in map(self.at, [
            *item.get("parameters", ()), *operation.get("parameters", ())])
            if p["in"] == "query"}
        # What the server tells of itself it tells whatever is asked.
        if operation["tags"] != ["server"] and set(query) - known:
            yield "query %s is not described" % sorted(set(query) - known)
        if body:
            yield from self.content_faults(
                operation.get("requestBody", {}).get("content", {}), media,
                body)

    def all_faults(self, method, target, request, status, media, body):
        parts = urlsplit(target)
        operation, item = self.operation(method, parts.path)
        if method == "OPTIONS" and status == 204:
            return
        for fault in self.answer_faults(operation, status, media, body):
            yield "answer: " + fault
        # A batch may have refused a part of what it was asked.
        if operation and status < 300 and b'"response-code":4' not in body:
            query = [name for name, _ in parse_qsl(parts.query, True)]
            for fault in self.request_faults(
                    operation, item, query, *request):
                yield "request: " + fault

    def check(self, method, target, request, status, media, body):
        """request: media type and body. Bodies are bytes."""
        faults = list(self.all_faults(
            method, target, request, status, media, body))
        assert not faults, "%s %s, %d %r: not as in doc/openapi.yaml\n%s" % (
            method, target, status, body[:1000], "\n".join(faults))

    @functools.lru_cache(maxsize=64)
    def check_small(self, *args):
        self.check(*args)


contract = None


def hold(path):
    """From now on, if there is a validator and the document is at the path."""
    global contract
    if Draft202012Validator and path.exists():
        contract = Contract(json.loads(path.read_text()))


def check(asked, response, whole):
    """asked: method, target, media type and body. whole: the answer's body
    is there."""
    if not contract:
        return
    method, target, request_media, request_body = asked
    body = response.body if whole else b""
    small = len(body) + len(request_body) < SMALL
    (contract.check_small if small else contract.check)(
        method, target, (media_type(request_media), request_body),
        response.status, media_type(response.header("Content-Type")), body)
