"""An image registry on loopback that keeps in memory what it is sent and lists referrers (OCI 1.1)."""

import contextlib
import hashlib
import http.server
import json
import urllib.parse

import loopback_http

INDEX = "application/vnd.oci.image.index.v1+json"


@contextlib.contextmanager
def running():
    """Yields its host, and what was sent: method and path."""
    blobs, manifests, seen = {}, {}, []

    class Handler(http.server.BaseHTTPRequestHandler):
        def handle_any(self):
            seen.append(f"{self.command} {self.path}")
            split = urllib.parse.urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            kind, key = split.path.split("/")[-2:]
            if self.command == "POST":
                return self.say(202, {"Location": "/v2/app/blobs/uploads/1"})
            if self.command == "PUT" and kind == "uploads":
                digest = urllib.parse.parse_qs(split.query)["digest"][0]
                assert digest == digest_of(body)
                blobs[digest] = body
                return self.say(201)
            if self.command == "PUT":
                manifests[key] = manifests[digest_of(body)] = (self.headers["Content-Type"], body)
                subject = json.loads(body).get("subject")
                return self.say(201, {"OCI-Subject": subject["digest"]} if subject else {})
            if kind == "referrers":
                found = [described(name, *each) for name, each in manifests.items()]
                listed = [each for each, subject in found if subject == key]
                return self.say(200, {"Content-Type": INDEX}, json.dumps({"manifests": listed}).encode())
            if kind == "manifests" and key in manifests:
                return self.say(200, {"Content-Type": manifests[key][0]}, manifests[key][1])
            return self.say(200, {}, blobs[key]) if key in blobs else self.say(404)

        do_GET = do_HEAD = do_PUT = do_POST = handle_any

        def say(self, status, headers=None, body=b""):
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, *arguments):
            """Says nothing."""

    with loopback_http.serving(Handler) as port:
        yield f"127.0.0.1:{port}", seen


def described(name, kind, body):
    """A manifest's descriptor, and the digest of what it refers to."""
    tree = json.loads(body)
    descriptor = {"mediaType": kind, "digest": name, "size": len(body), "artifactType": tree.get("artifactType")}
    return descriptor, (tree.get("subject") or {}).get("digest")


def digest_of(content):
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
