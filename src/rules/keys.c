/*
 * The table of keys, and how one is found by its name or by a slip of it. A new key is a
 * line here, a word in callbackd.conf(5) and in conf/callbackd.conf (the lint looks), and
 * nothing else as long as its type exists.
 */
#include "rules/keys.h"

#include "rules/config.h"

#include <stddef.h>
#include <stdint.h>

static const char *const levels[] = {
	"emerg", "alert", "crit", "err", "warning", "notice", "info", "debug", NULL};
static const char *const hashes[] = {"sha1", "sha256", "sha384", "sha512", NULL};
static const char *const encodings[] = {"raw", "hex", "base64", NULL};
static const char *const styles[] = {"plain", "pairs", "list", NULL};
static const char *const modes[] = {"exec", "stream", "batch", "socket", NULL};

#define MSEC       USEC_PER_MSEC
#define DAY        (24ull * 3600 * USEC_PER_SEC)
#define DAEMON(m)  offsetof(struct config, m)
#define LIMIT(m)   offsetof(struct config, limits.m)
#define SOURCE(m)  offsetof(struct source, m)
#define SIGNED(m)  offsetof(struct source, signature.m)
#define HOOK(m)    offsetof(struct hook, m)
#define AT_MOST(n) .max = (n)
#define FROM(a, b) .min = (a), .max = (b)
#define TIMES(a)   .min = (a), .max = KEY_TIME_MAX

/* clang-format off */
static const struct key keys[] = {
/* ---- [Daemon] ---- */
{SECTION_DAEMON, "Listen", KEY_ADDRESS, DAEMON(listen), .list = true,
	.standard = "127.0.0.1:8080",
	.sentence = "Where plain HTTP is listened for: ADDR:PORT, [V6]:PORT, or the absolute path of a unix socket."},
{SECTION_DAEMON, "ListenTLS", KEY_ADDRESS, DAEMON(listen_tls), .list = true,
	.sentence = "Where HTTPS is listened for."},
{SECTION_DAEMON, "TLSCertificateFile", KEY_FILE, DAEMON(tls_certificate_file),
	.sentence = "The certificate chain for ListenTLS=, PEM."},
{SECTION_DAEMON, "TLSKeyFile", KEY_KEY_FILE, DAEMON(tls_key_file),
	.sentence = "The private key of the certificate, PEM."},
{SECTION_DAEMON, "TLSClientCAFile", KEY_FILE, DAEMON(tls_client_ca_file),
	.sentence = "Client certificates signed by these authorities are required on ListenTLS=."},
{SECTION_DAEMON, "PublicURL", KEY_ORIGIN, DAEMON(public_url),
	.sentence = "The origin under which senders reach the listener."},
{SECTION_DAEMON, "StateDirectory", KEY_PATH, DAEMON(state_directory),
	.standard = "/var/lib/callbackd",
	.sentence = "Where the store lives; $STATE_DIRECTORY comes before the default."},
{SECTION_DAEMON, "ControlSocket", KEY_PATH, DAEMON(control_socket),
	.standard = "/run/callbackd/control.sock",
	.sentence = "The socket callbackctl speaks to; $RUNTIME_DIRECTORY/control.sock comes before the default."},
{SECTION_DAEMON, "LogLevel", KEY_CHOICE, DAEMON(log_level), .min = 3, .choices = levels,
	.standard = "info",
	.sentence = "The least urgent messages that are logged."},
{SECTION_DAEMON, "Retention", KEY_TIME, DAEMON(retention_usec), TIMES(DAY), .forever = true,
	.standard = "30d",
	.sentence = "How long a finished job is remembered after its last update."},
{SECTION_DAEMON, "MinFreeBytes", KEY_BYTES, DAEMON(min_free_bytes), AT_MOST(1ull << 50),
	.standard = "64M",
	.sentence = "Callbacks are answered 503 when the disk has less room than this."},
{SECTION_DAEMON, "MaxConcurrent", KEY_NUMBER, DAEMON(max_concurrent), FROM(1, 10000),
	.standard = "32",
	.sentence = "How many hooks run at once in all."},
{SECTION_DAEMON, "StopTimeout", KEY_TIME, DAEMON(stop_timeout_usec), TIMES(0),
	.standard = "30s",
	.sentence = "How long running hooks may go on once the daemon is told to stop."},
{SECTION_DAEMON, "TrustedProxy", KEY_CIDRS, DAEMON(trusted_proxy), .list = true,
	.sentence = "Addresses whose X-Forwarded-For is believed: CIDRs, or the word unix."},
{SECTION_DAEMON, "ProxyProtocol", KEY_BOOL, DAEMON(proxy_protocol),
	.standard = "no",
	.sentence = "Every TCP connection begins with a PROXY protocol header, version 2."},
{SECTION_DAEMON, "StatusListen", KEY_ADDRESS, DAEMON(status_listen), .list = true,
	.sentence = "Where the drop-in status API is listened for, in the forms of Listen=."},
{SECTION_DAEMON, "StatusSource", KEY_TEXT, DAEMON(status_source),
	.sentence = "The source it serves; needed where several have an UploadURL=."},
{SECTION_DAEMON, "StatusKeyFile", KEY_API_KEYS, DAEMON(status_keys), .list = true,
	.sentence = "The file that holds the key its clients must send; of several any one will do. The default is the source's APIKeyFile=."},
{SECTION_DAEMON, "HandshakeTimeout", KEY_TIME, LIMIT(handshake_timeout_usec), TIMES(MSEC),
	.standard = "10s",
	.sentence = "How long a TLS handshake may take in total."},
{SECTION_DAEMON, "HeaderTimeout", KEY_TIME, LIMIT(header_timeout_usec), TIMES(MSEC),
	.standard = "10s",
	.sentence = "How long a request's head may take from its first byte."},
{SECTION_DAEMON, "BodyTimeout", KEY_TIME, LIMIT(body_timeout_usec), TIMES(MSEC),
	.standard = "2min",
	.sentence = "How long a request's body may take in total."},
{SECTION_DAEMON, "BodyMinRate", KEY_BYTES, LIMIT(body_min_rate), AT_MOST(1ull << 30),
	.standard = "500",
	.sentence = "Bytes a second a body must come with after 20 s of grace."},
{SECTION_DAEMON, "KeepAliveTimeout", KEY_TIME, LIMIT(keep_alive_timeout_usec), TIMES(MSEC),
	.standard = "15s",
	.sentence = "How long a connection may be idle between two requests."},
{SECTION_DAEMON, "MaxConnections", KEY_COUNT, LIMIT(max_connections), FROM(1, 1000000),
	.standard = "16384",
	.sentence = "How many connections are held at once."},
{SECTION_DAEMON, "MaxConnectionsPerAddress", KEY_COUNT, LIMIT(max_connections_per_address),
	AT_MOST(1000000),
	.sentence = "How many of them one address may hold; the default is a quarter of MaxConnections=."},
{SECTION_DAEMON, "MaxHeaderBytes", KEY_BYTES, LIMIT(max_header_bytes), FROM(256, 1u << 20),
	.standard = "16K",
	.sentence = "How long the head of a request may be."},
{SECTION_DAEMON, "MaxHeaders", KEY_COUNT, LIMIT(max_headers), FROM(1, 1000),
	.standard = "100",
	.sentence = "How many header fields a request may have."},
{SECTION_DAEMON, "MaxTargetBytes", KEY_BYTES, LIMIT(max_target_bytes), FROM(16, 1u << 20),
	.standard = "8K",
	.sentence = "How long the target of a request may be."},
{SECTION_DAEMON, "MaxBodyBytes", KEY_BYTES, LIMIT(max_body_bytes), FROM(1, 256u << 20),
	.standard = "1M",
	.sentence = "How long the body of a request may be."},
{SECTION_DAEMON, "MaxBodyBytesInFlight", KEY_BYTES, LIMIT(max_body_bytes_in_flight),
	FROM(1, 1ull << 40),
	.standard = "64M",
	.sentence = "How many bytes of bodies are held at once over all connections."},
{SECTION_DAEMON, "MaxRequestsPerConnection", KEY_COUNT, LIMIT(max_requests_per_connection),
	FROM(1, 1000000000),
	.standard = "1000",
	.sentence = "After so many requests a connection is closed."},

/* ---- [Source NAME] ---- */
{SECTION_SOURCE, "Preset", KEY_PRESET, SOURCE(preset),
	.sentence = "A known sender, whose preset fills in what is not given."},
{SECTION_SOURCE, "Path", KEY_TARGET, SOURCE(path),
	.sentence = "The path of the callback URL; the default is /callback/NAME."},
{SECTION_SOURCE, "Verify", KEY_VERIFY, SOURCE(verify), .list = true,
	.sentence = "How a callback proves where it comes from: token header basic hmac standard-webhooks twilio ed25519 jwt sns http-signature, one that holds suffices; or none."},
{SECTION_SOURCE, "SecretFile", KEY_SECRETS, SOURCE(secrets), .list = true,
	.sentence = "The file that holds the secret, or the public key; of several any one verifies."},
{SECTION_SOURCE, "IdField", KEY_FIELDS, SOURCE(id), .list = true, .needed = true,
	.standard = "/id",
	.sentence = "Where the job id stands: a JSON pointer, header:NAME, query:NAME or form:NAME; the first that is there."},
{SECTION_SOURCE, "StatusField", KEY_FIELDS, SOURCE(status), .list = true,
	.standard = "/status",
	.sentence = "Where the status word stands; empty: every callback is a success."},
{SECTION_SOURCE, "SuccessValues", KEY_WORDS, SOURCE(success), .list = true,
	.standard = "completed succeeded success",
	.sentence = "The words of a job that is done; case does not count."},
{SECTION_SOURCE, "ErrorValues", KEY_WORDS, SOURCE(error), .list = true,
	.standard = "error failed",
	.sentence = "The words of a job that failed."},
{SECTION_SOURCE, "CanceledValues", KEY_WORDS, SOURCE(canceled), .list = true,
	.standard = "canceled cancelled",
	.sentence = "The words of a job that was canceled."},
{SECTION_SOURCE, "PendingValues", KEY_WORDS, SOURCE(pending), .list = true,
	.standard = "pending queued starting processing running",
	.sentence = "The words of a job that goes on."},
{SECTION_SOURCE, "DeliveryField", KEY_FIELDS, SOURCE(delivery), .list = true,
	.sentence = "Where the sender's own id of one delivery stands."},
{SECTION_SOURCE, "Where", KEY_WHERE, SOURCE(where), .list = true,
	.sentence = "Conditions FIELD=VALUE or FIELD!=VALUE; only what meets them all is taken."},
{SECTION_SOURCE, "AllowFrom", KEY_CIDRS, SOURCE(allow), .list = true,
	.sentence = "Addresses the source may call from; empty: any."},
{SECTION_SOURCE, "TokenHeader", KEY_HEADER, SOURCE(token_header),
	.standard = "X-Webhook-Secret",
	.sentence = "Verify=header: this header equals the secret."},
{SECTION_SOURCE, "SignatureHeader", KEY_PLACE, SIGNED(place),
	.standard = "X-Signature",
	.sentence = "Verify=hmac and ed25519: the header the signature stands in, or form:NAME."},
{SECTION_SOURCE, "SignatureAlgorithm", KEY_CHOICE, SIGNED(algorithm), .choices = hashes,
	.standard = "sha256",
	.sentence = "The hash of the signature: sha1 sha256 sha384 sha512."},
{SECTION_SOURCE, "SignatureEncoding", KEY_CHOICE, SIGNED(encoding), .min = ENCODING_HEX,
	.choices = encodings, .standard = "hex",
	.sentence = "How the signature is written: hex or base64."},
{SECTION_SOURCE, "SignaturePrefix", KEY_STRING, SIGNED(prefix),
	.sentence = "Stripped from the signature where it is there, such as sha256=."},
{SECTION_SOURCE, "SignatureStyle", KEY_CHOICE, SIGNED(style), .choices = styles,
	.standard = "plain",
	.sentence = "How the header is built: plain, pairs (t=...,v1=...) or list (v1,... v1,...)."},
{SECTION_SOURCE, "SignatureField", KEY_TEXT, SIGNED(signature_field),
	.sentence = "The name of the signature in pairs (v1), or the one version that is taken from a list."},
{SECTION_SOURCE, "TimestampField", KEY_TEXT, SIGNED(timestamp_field),
	.sentence = "The name of the timestamp in pairs (t)."},
{SECTION_SOURCE, "SignedContent", KEY_TEMPLATE, SIGNED(content),
	.standard = "{body}",
	.sentence = "What the signature covers: a template over {id} {timestamp} {body} {url} {form} {form:NAME} {body_sha256} {header:NAME} {newline}."},
{SECTION_SOURCE, "TimestampHeader", KEY_HEADER, SIGNED(timestamp_header),
	.sentence = "The header of the timestamp, where it stands in one of its own."},
{SECTION_SOURCE, "Tolerance", KEY_TIME, SIGNED(tolerance_usec), TIMES(USEC_PER_SEC),
	.standard = "5min",
	.sentence = "How far a timestamp may lie in the past or in the future."},
{SECTION_SOURCE, "KeyPrefix", KEY_STRING, SIGNED(key_prefix),
	.sentence = "Stripped from the secret where it is there, such as whsec_."},
{SECTION_SOURCE, "KeyEncoding", KEY_CHOICE, SIGNED(key_encoding), .choices = encodings,
	.standard = "raw",
	.sentence = "How the key is written in the secret: raw hex base64."},
{SECTION_SOURCE, "KeysURL", KEY_URL, SOURCE(keys_url),
	.sentence = "Where the sender publishes its public keys: a JWKS, by https."},
{SECTION_SOURCE, "Issuer", KEY_WORDS, SOURCE(issuers), .list = true,
	.sentence = "Verify=jwt: the issuers (iss) a token may name."},
{SECTION_SOURCE, "Audience", KEY_WORDS, SOURCE(audience), .list = true,
	.sentence = "Verify=jwt: the audiences (aud), one of which a token must name."},
{SECTION_SOURCE, "Subject", KEY_WORDS, SOURCE(subject), .list = true,
	.sentence = "Verify=jwt: the subjects (sub) or verified addresses (email) that are taken; empty: any."},
{SECTION_SOURCE, "AllowTopic", KEY_WORDS, SOURCE(topics), .list = true,
	.sentence = "Verify=sns: the topics that are taken, by their ARNs."},
{SECTION_SOURCE, "CoveredComponents", KEY_WORDS, SOURCE(components), .list = true,
	.needed = true, .standard = "@method @target-uri content-digest",
	.sentence = "Verify=http-signature: the components a signature must cover."},
{SECTION_SOURCE, "Confirm", KEY_BOOL, SOURCE(confirm),
	.standard = "no",
	.sentence = "Ask StatusURL= before believing a callback."},
{SECTION_SOURCE, "StatusURL", KEY_URL, SOURCE(status_url),
	.sentence = "Where the status of a job can be asked for; {id} stands for its id."},
{SECTION_SOURCE, "UploadURL", KEY_URL, SOURCE(upload_url),
	.sentence = "Where callbackctl upload initiates an upload."},
{SECTION_SOURCE, "UploadOwner", KEY_TEXT, SOURCE(upload_owner),
	.sentence = "The owner named when an upload is initiated."},
{SECTION_SOURCE, "APIKeyFile", KEY_SECRET, SOURCE(api_key),
	.sentence = "The file that holds the key for StatusURL= and UploadURL=."},
{SECTION_SOURCE, "APIKeyHeader", KEY_HEADER, SOURCE(api_key_header),
	.standard = "X-API-Key",
	.sentence = "The header that key is sent in."},
{SECTION_SOURCE, "CAFile", KEY_FILE, SOURCE(ca_file),
	.sentence = "Authorities for StatusURL=, UploadURL=, KeysURL= and SNS in place of the system's."},
{SECTION_SOURCE, "ExpectWithin", KEY_TIME, SOURCE(expect_within_usec), TIMES(MSEC),
	.standard = "10min",
	.sentence = "How long an expected job may keep silent before it is asked for."},
{SECTION_SOURCE, "GiveUpAfter", KEY_TIME, SOURCE(give_up_usec), TIMES(MSEC),
	.forever = true, .standard = "1d",
	.sentence = "After this time an expected job is lost."},
{SECTION_SOURCE, "Reopen", KEY_BOOL, SOURCE(reopen),
	.standard = "no",
	.sentence = "A pending word after a terminal one opens the job again."},

/* ---- [Hook NAME] ---- */
{SECTION_HOOK, "Source", KEY_NAMES, HOOK(sources), .list = true,
	.sentence = "The sources whose callbacks it wants; empty: every source."},
{SECTION_HOOK, "On", KEY_ON, 0, .list = true, .needed = true,
	.standard = "success",
	.sentence = "Outcomes (success error canceled pending lost unreadable dead any) or the sender's own status words; any match fires."},
{SECTION_HOOK, "Where", KEY_WHERE, HOOK(where), .list = true,
	.sentence = "Conditions FIELD=VALUE or FIELD!=VALUE, all of which must hold."},
{SECTION_HOOK, "Exec", KEY_EXEC, HOOK(exec),
	.sentence = "The command and its arguments; ${CALLBACK_ID} and the like are replaced, there is no shell."},
{SECTION_HOOK, "Export", KEY_EXPORTS, HOOK(exports), .list = true,
	.sentence = "NAME:FIELD puts what stands at FIELD into CALLBACK_NAME."},
{SECTION_HOOK, "Environment", KEY_SETTINGS, HOOK(environment), .list = true,
	.sentence = "NAME=VALUE for the command's environment."},
{SECTION_HOOK, "WorkingDirectory", KEY_PATH, HOOK(working_directory),
	.sentence = "Where the command starts; the default is the state directory."},
{SECTION_HOOK, "Timeout", KEY_TIME, HOOK(timeout_usec), TIMES(MSEC), .forever = true,
	.standard = "5min",
	.sentence = "How long the command may run."},
{SECTION_HOOK, "KillAfter", KEY_TIME, HOOK(kill_after_usec), TIMES(0),
	.standard = "10s",
	.sentence = "The time from SIGTERM to SIGKILL, for its whole process tree."},
{SECTION_HOOK, "MaxConcurrent", KEY_NUMBER, HOOK(max_concurrent), FROM(1, 10000),
	.standard = "4",
	.sentence = "How many of it run at once."},
{SECTION_HOOK, "Retries", KEY_NUMBER, HOOK(retries), AT_MOST(1000),
	.standard = "8",
	.sentence = "How often a failed run is tried again."},
{SECTION_HOOK, "RetryDelay", KEY_TIME, HOOK(retry_delay_usec), TIMES(0),
	.standard = "5s",
	.sentence = "The delay before the first retry; it doubles each time, with full jitter."},
{SECTION_HOOK, "RetryDelayMax", KEY_TIME, HOOK(retry_delay_max_usec), TIMES(0),
	.standard = "1h",
	.sentence = "The delay grows to this and no further."},
{SECTION_HOOK, "SuccessExitStatus", KEY_STATUSES, HOOK(success_status), .list = true,
	.needed = true, .standard = "0",
	.sentence = "Exit statuses that are a success besides 0."},
{SECTION_HOOK, "PermanentExitStatus", KEY_STATUSES, HOOK(permanent_status), .list = true,
	.sentence = "Exit statuses that are not worth a retry."},
{SECTION_HOOK, "Serialize", KEY_BOOL, HOOK(serialize),
	.standard = "no",
	.sentence = "Runs of one job follow one after another, the oldest first."},
{SECTION_HOOK, "MinInterval", KEY_TIME, HOOK(min_interval_usec), TIMES(0),
	.sentence = "At most one start in this time; what waits is merged, the latest payload wins."},
{SECTION_HOOK, "RateLimit", KEY_RATE, HOOK(rate),
	.sentence = "At most so many starts in a time, as N/SPAN or N for a second; what waits is not merged."},
{SECTION_HOOK, "Mode", KEY_CHOICE, HOOK(mode), .choices = modes,
	.standard = "exec",
	.sentence = "exec: one process for each callback; stream: one long-lived process; batch: one for all that wait; socket: a service at Socket=."},
{SECTION_HOOK, "BatchMax", KEY_NUMBER, HOOK(batch_max), FROM(1, 1000),
	.standard = "100",
	.sentence = "How many waiting callbacks one process of Mode=batch is given at most."},
{SECTION_HOOK, "Socket", KEY_PATH, HOOK(socket),
	.sentence = "The absolute path of the unix socket that Mode=socket connects to."},
};
/* clang-format on */

const struct key *keys_all(size_t *ret_n)
{
	*ret_n = ARRAY_SIZE(keys);
	return keys;
}

const struct key *keys_of(enum key_section section, size_t *ret_n)
{
	size_t first = 0, n = 0;
	while (first < ARRAY_SIZE(keys) && keys[first].section != section)
		first++;
	while (first + n < ARRAY_SIZE(keys) && keys[first + n].section == section)
		n++;
	*ret_n = n;
	return keys + first;
}

const char *key_section_name(enum key_section section)
{
	static const char *const names[SECTION_MAX] = {"Daemon", "Source", "Hook"};
	return names[section];
}

const char *key_section_header(enum key_section section)
{
	static const char *const headers[SECTION_MAX] = {
		"[Daemon]", "[Source NAME]", "[Hook NAME]"};
	return headers[section];
}

const struct key *key_find(enum key_section section, struct bytes name)
{
	size_t n;
	const struct key *k = keys_of(section, &n);
	for (size_t i = 0; i < n; i++)
		if (bytes_equal(bytes_of(k[i].name), name))
			return &k[i];
	return NULL;
}

#define WORD_MAX 40 /* no word we know is longer */

static unsigned char lower(char c)
{
	return (unsigned char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Damerau and Levenshtein's distance, in the form that moves no letter twice. */
size_t key_distance(struct bytes written, struct bytes meant)
{
	size_t rows[3][WORD_MAX + 1];
	size_t *before = rows[0], *above = rows[1], *row = rows[2];
	if (written.size > WORD_MAX || meant.size > WORD_MAX)
		return SIZE_MAX;
	for (size_t j = 0; j <= meant.size; j++)
		before[j] = above[j] = j;
	for (size_t i = 1; i <= written.size; i++) {
		unsigned char a = lower(written.data[i - 1]);
		row[0] = i;
		for (size_t j = 1; j <= meant.size; j++) {
			unsigned char b = lower(meant.data[j - 1]);
			row[j] = least(
				above[j - 1] + (a != b), least(above[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && a == lower(meant.data[j - 2]) &&
				b == lower(written.data[i - 2]))
				row[j] = least(row[j], before[j - 2] + 1);
		}
		size_t *free_row = before;
		before = above;
		above = row;
		row = free_row;
	}
	size_t size = least(written.size, meant.size), distance = above[meant.size];
	return distance < size && distance <= 1 + size / 4 ? distance : SIZE_MAX;
}

const char *key_nearest(enum key_section section, struct bytes name)
{
	const char *nearest = NULL;
	size_t n, best = SIZE_MAX;
	const struct key *k = keys_of(section, &n);
	for (size_t i = 0; i < n; i++) {
		size_t distance = key_distance(name, bytes_of(k[i].name));
		if (distance < best) {
			best = distance;
			nearest = k[i].name;
		}
	}
	return nearest;
}
