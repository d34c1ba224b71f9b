// Signs as senders do, with their own libraries. Standard input: a JSON array of
// {library, secret, id, url, body, form}; standard output: an array of {headers, url}, in that
// order. `form` is an object: what the body says, for schemes that sign it in parts. Those with
// public keys take `key`, a private key in PEM, and `alg`, `claims` or `fields`.

import { createHash, createPrivateKey, sign as nodeSign } from "node:crypto";
import { readFileSync } from "node:fs";

import { sign as octokitSign } from "@octokit/webhooks-methods";
import { createSigner, httpbis } from "http-message-signatures";
import { SignJWT } from "jose";
import { Webhook as StandardWebhook } from "standardwebhooks";
import Stripe from "stripe";
import { Webhook as SvixWebhook } from "svix";
import twilio from "twilio";

function listSigned(webhook, prefix, { id, body }) {
  const now = new Date();
  return {
    [`${prefix}-id`]: id,
    [`${prefix}-timestamp`]: String(Math.floor(now / 1000)),
    [`${prefix}-signature`]: webhook.sign(id, now, body),
  };
}

const seconds = () => String(Math.floor(Date.now() / 1000));

function ed25519(key, text) {
  return nodeSign(null, Buffer.from(text), createPrivateKey(key));
}

const libraries = {
  jose: async ({ key, alg, kid, claims }) => ({
    headers: {
      Authorization: `Bearer ${await new SignJWT(claims)
        .setProtectedHeader({ alg, ...(kid && { kid }) })
        .setIssuedAt()
        .setExpirationTime("10m")
        .sign(createPrivateKey(key))}`,
    },
  }),
  "http-message-signatures": async ({ key, secret, alg, kid, url, body, fields }) => {
    const digest = createHash("sha512").update(body).digest("base64");
    const request = {
      method: "POST",
      url,
      headers: { "Content-Type": "application/json", "Content-Digest": `sha-512=:${digest}:` },
    };
    const signer = createSigner(secret ? Buffer.from(secret) : key, alg, kid);
    return { headers: (await httpbis.signMessage({ key: signer, fields }, request)).headers };
  },
  discord: ({ key, body }) => {
    const time = seconds();
    const signature = ed25519(key, time + body).toString("hex");
    return { headers: { "X-Signature-Ed25519": signature, "X-Signature-Timestamp": time } };
  },
  fal: ({ key, id, body }) => {
    const time = seconds();
    const hash = createHash("sha256").update(body).digest("hex");
    const signature = ed25519(key, [id, "user-1", time, hash].join("\n")).toString("hex");
    return {
      headers: {
        "X-Fal-Webhook-Request-Id": id,
        "X-Fal-Webhook-User-Id": "user-1",
        "X-Fal-Webhook-Timestamp": time,
        "X-Fal-Webhook-Signature": signature,
      },
    };
  },
  "standard-webhooks-v1a": ({ key, id, body }) => {
    const time = seconds();
    const signature = ed25519(key, `${id}.${time}.${body}`).toString("base64");
    return {
      headers: { "webhook-id": id, "webhook-timestamp": time, "webhook-signature": `v1a,${signature}` },
    };
  },
  standardwebhooks: (r) => ({ headers: listSigned(new StandardWebhook(r.secret), "webhook", r) }),
  svix: (r) => ({ headers: listSigned(new SvixWebhook(r.secret), "svix", r) }),
  stripe: ({ secret, body }) => ({
    headers: {
      "Stripe-Signature": new Stripe("sk_test_unused").webhooks.generateTestHeaderString({ payload: body, secret }),
    },
  }),
  octokit: async ({ secret, body }) => ({ headers: { "X-Hub-Signature-256": await octokitSign(secret, body) } }),
  twilio: ({ secret, url, body, form }) => {
    if (!form) {
      // JSON: the body's hash goes into the URL, and the URL is signed.
      url += `${url.includes("?") ? "&" : "?"}bodySHA256=${twilio.getExpectedBodyHash(body)}`;
    }
    return { headers: { "X-Twilio-Signature": twilio.getExpectedTwilioSignature(secret, url, form ?? {}) }, url };
  },
};

const requests = JSON.parse(readFileSync(0, "utf8"));
const signed = await Promise.all(requests.map(async (r) => ({ url: r.url, ...(await libraries[r.library](r)) })));
process.stdout.write(JSON.stringify(signed));
