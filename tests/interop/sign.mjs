// Signs as senders do, with their own libraries. Standard input: a JSON array of
// {library, secret, id, url, body, form}; standard output: an array of {headers, url}, in that
// order. `form` is an object: what the body says, for schemes that sign it in parts.

import { readFileSync } from "node:fs";

import { sign as octokitSign } from "@octokit/webhooks-methods";
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

const libraries = {
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
