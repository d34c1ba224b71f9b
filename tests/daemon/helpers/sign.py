"""Signatures as senders make them, by Python's own hmac: an independent implementation."""

import base64
import hashlib
import hmac
import time


def _bytes(value):
    return value.encode() if isinstance(value, str) else value


def hmac_text(secret, content, algorithm="sha256", encoding="hex", prefix=""):
    digest = hmac.new(_bytes(secret), _bytes(content), getattr(hashlib, algorithm)).digest()
    return prefix + (digest.hex() if encoding == "hex" else base64.b64encode(digest).decode())


def hmac_hex(secret, body, header="X-Signature", prefix=""):
    """The headers of Verify=hmac as it is by default."""
    return {header: hmac_text(secret, body, prefix=prefix)}


def timestamped(secret, body, header="Stripe-Signature", t=None, field="v1", timestamp_field="t"):
    """t=…,v1=… over `t.body`."""
    t = str(int(time.time()) if t is None else t)
    signature = hmac_text(secret, t.encode() + b"." + _bytes(body))
    return {header: f"{timestamp_field}={t},{field}={signature}"}


def standard_webhooks(secret, body, id="msg_1", t=None, prefix="webhook-"):
    """`secret` is as the sender writes it: whsec_ and base64."""
    t = str(int(time.time()) if t is None else t)
    key = base64.b64decode(secret.removeprefix("whsec_"))
    content = f"{id}.{t}.".encode() + _bytes(body)
    return {
        f"{prefix}id": id,
        f"{prefix}timestamp": t,
        f"{prefix}signature": "v1," + hmac_text(key, content, encoding="base64"),
    }
