/* What a person gets wrong, and the one line that is said of it; the table of keys. */
#include "config_world.h"

/* ---- problems ---- */

static void assert_says(const char *text, bool checking, int wanted, const char *lines)
{
	struct text said = TEXT_EMPTY;
	const struct config_text one = {"f", bytes_of(text)};
	text_adds(&said, "");
	world.checking = checking;
	struct config *c = build_all(&one, 1, &said, wanted);
	world.checking = false;
	assert_string_equal(said.data, lines);
	text_fini(&said);
	config_unref(c);
}

static void test_all_problems_in_order(void **state)
{
	(void)state;
	assert_says(
		"[Daemon]\nListne=a\nRetention=1h\n[Source video]\nPath=x\nVerify=none\n"
		"[Hook h]\nExec=/bin/true\nSource=vidoe\nTimeout=soon\n",
		false, 1,
		"f:2: unknown key Listne= in [Daemon]; did you mean Listen=?\n"
		"f:3: Retention=1h: at least 1d is wanted\n"
		"f:5: Path=x: a path begins with /\n"
		"f:9: Source=vidoe: there is no such source; did you mean video?\n"
		"f:10: Timeout=soon: a time span such as 90, 5min or 1h 30min is "
		"wanted\n");
	const struct config_text texts[] = {
		{"f", bytes_of("[Hook h]\nExec=/bin/true\nRetries=x\n")},
		{"g", bytes_of("[Hook h]\nTimeout=0\n[Daemon]\nPublicURL=h\n")},
	};
	struct text said = TEXT_EMPTY;
	assert_null(build_all(texts, 2, &said, 1));
	assert_string_equal(said.data,
		"f:3: Retries=x: a number from 0 to 1000 is wanted\n"
		"g:2: Timeout=0: at least 1ms is wanted\n"
		"g:4: PublicURL=h: an http:// or https:// URL is wanted\n");
	text_fini(&said);
}

struct complaint {
	const char *text, *says; /* a part of the one line that is said */
};

static void assert_one_complaint(
	const struct complaint *p, const char *before, int wanted)
{
	struct text said = TEXT_EMPTY;
	CLEANUP(freep) char *whole = text_format("%s%s", before, p->text);
	const struct config_text one = {"f", bytes_of(whole)};
	struct config *c = build_all(&one, 1, &said, wanted);
	const char *end = said.data ? strchr(said.data, '\n') : NULL;
	if (!end || end[1] || !strstr(said.data, p->says))
		fail_msg("%s\nwas to say: %s\nand said:\n%s", whole, p->says,
			said.data ? said.data : "nothing");
	text_fini(&said);
	config_unref(c);
}

#define PUBLIC      "[Daemon]\nPublicURL=https://h\n"
#define UPLOADS     PUBLIC "[Source u]\nVerify=token\nUploadURL=https://h/\nAPIKeyFile=s\n"
#define UPLOADS_TOO "[Source v]\nVerify=token\nUploadURL=https://h/\n"

static const struct complaint errors[] = {
	/* lines and sections */
	{"Listen=a\n", "f:1: Listen= stands before the first [Section]"},
	{"x\n", "f:1: neither [Section] nor Key=value"},
	{"[Sourc a]\nVerify=x\n", "f:1: unknown section [Sourc]; did you mean [Source"},
	{"[Elsewhere]\n", "there are [Daemon], [Source NAME] and [Hook NAME]"},
	{"[Source]\nA=b\n", "[Source] needs a name"},
	{"[Hook a b]\n", "\"a b\" is no name"},
	{"[Hook 0123456789012345678901234567890123456789012345678901234567890123x]\n",
		"is no name"},
	{"[Daemon x]\n", "[Daemon] has no name"},
	{"[Daemon]\nRetries=1\n", "f:2: Retries= belongs into [Hook NAME], not into"},
	{"[Daemon]\nlisten=\n", "did you mean Listen=?"},
	{"[Daemon]\nRetrys=1\n", "did you mean Retries= of [Hook NAME]?"},
	{"[Daemon]\nQwertz=\n", "unknown key Qwertz= in [Daemon]\n"},
	{"[Daemon]\nSecretFil\033=\n", "unknown key SecretFil\\x1B="},
	/* values */
	{"[Daemon]\nListen=8080\n", "ADDR:PORT"},
	{"[Daemon]\nListen=localhost:80\n", "ADDR:PORT"},
	{"[Daemon]\nListen=::1:80\n", "ADDR:PORT"},
	{"[Daemon]\nListen=[::1]:65536\n", "ADDR:PORT"},
	{"[Daemon]\nListen=127.0.0.1:80 127.0.0.1:81\n", "ADDR:PORT"},
	{"[Daemon]\nListenTLS=[::1]:80\nTLSKeyFile=s\nTLSCertificateFile=gone\n",
		"TLSCertificateFile=gone: no such file"},
	{"[Daemon]\nListenTLS=[::1]:80\nTLSCertificateFile=c\nTLSKeyFile=/gone\n",
		"TLSKeyFile=/gone: no such file"},
	{"[Daemon]\nTLSCertificateFile=c\n", "needs TLSKeyFile="},
	{"[Daemon]\nTLSKeyFile=s\n", "needs TLSCertificateFile="},
	{"[Daemon]\nPublicURL=https://h/path\n", "the origin alone"},
	{"[Daemon]\nPublicURL=ftp://h\n", "http:// or https://"},
	{"[Daemon]\nPublicURL=https://u:p@h\n", "user"},
	{"[Daemon]\nPublicURL=https://:80\n", "host"},
	{"[Daemon]\nPublicURL=https://h:0\n", "host or port"},
	{"[Daemon]\nStateDirectory=lib\n", "absolute path"},
	{"[Daemon]\nLogLevel=loud\n", "err warning notice info debug"},
	{"[Daemon]\nLogLevel=emerg\n", "err warning notice info debug"},
	{"[Daemon]\nMaxConcurrent=0\n", "a number from 1 to"},
	{"[Daemon]\nMaxConcurrent=18446744073709551617\n", "a number from 1 to"},
	{"[Daemon]\nMaxConcurrent=-1\n", "a number from 1 to"},
	{"[Daemon]\nProxyProtocol=2\n", "yes or no"},
	{"[Daemon]\nTrustedProxy=10.0.0.1/8\n", "host bits"},
	{"[Daemon]\nMinFreeBytes=64Q\n", "a size such as"},
	{"[Daemon]\nStopTimeout=infinity\n", "an end to it"},
	{"[Daemon]\nStopTimeout=200y\n", "at most"},
	{"[Daemon]\nMaxBodyBytes=65M\n", "MaxBodyBytesInFlight=64M is less than"},
	{"[Daemon]\nStatusListen=1\n" UPLOADS, "ADDR:PORT"},
	{"[Daemon]\nStatusListen=127.0.0.1:1\n" PUBLIC,
		"f:2: StatusListen= needs a source with UploadURL="},
	{"[Daemon]\nStatusListen=127.0.0.1:1\n" UPLOADS UPLOADS_TOO,
		"f:2: StatusListen= needs StatusSource=: several sources"},
	{"[Daemon]\nStatusListen=127.0.0.1:1\nStatusSource=c\n" UPLOADS,
		"f:3: StatusSource=c: there is no such source"},
	{OPEN UPLOADS "[Daemon]\nStatusSource=a\n",
		"StatusSource=a: [Source a] has no UploadURL="},
	{"[Daemon]\nStatusListen=127.0.0.1:1\n[Source u]\nPreset=eachlabs\nSecretFile=s\n"
	 "APIKeyFile=s\n",
		"StatusListen= needs PublicURL= as well"},
	{"[Daemon]\nStatusListen=127.0.0.1:1\n[Source u]\nVerify=token\nSecretFile=s\n"
	 "UploadURL=https://h/\n" PUBLIC,
		"StatusListen= needs StatusKeyFile=, or APIKeyFile= in [Source u]"},
	{"[Daemon]\nStatusListen=127.0.0.1:1\n[Source u]\nVerify=none\n"
	 "UploadURL=https://h/\nAPIKeyFile=s\n" PUBLIC,
		"StatusListen= needs Verify=token in [Source u]"},
	{"[Daemon]\nStatusKeyFile=line\n", "one line of printable ASCII"},
	{"[Daemon]\nStatusKeyFile=empty\n", "empty: the file is empty"},
	{"[Daemon]\nStatusKeyFile=/gone\n", "StatusKeyFile=/gone: no such file"},
	/* sources */
	{"[Source a]\n", "f:1: [Source a] has no Verify=: write Verify=token"},
	{"[Source a]\nVerify=none\nVerify=\n", "f:3: [Source a] has no Verify="},
	{"[Source a]\nPreset=eachlab\n",
		"unknown preset \"eachlab\"; did you mean eachlabs? known are: eachlabs"},
	{"[Source a]\nVerify=tokn\n", "one of these is wanted: token header"},
	{"[Source a]\nVerify=sns\n", "f:2: Verify=sns needs AllowTopic="},
	{"[Source a]\nVerify=sns\nAllowTopic=MyTopic\n", "an ARN such as"},
	{"[Source a]\nVerify=ed25519\n", "f:2: Verify=ed25519 needs SecretFile= with"},
	{"[Source a]\nVerify=jwt\n", "f:2: Verify=jwt needs SecretFile= with"},
	{"[Source a]\nVerify=http-signature\n" PUBLIC,
		"or the shared secret, or KeysURL="},
	{"[Source a]\nVerify=ed25519\nSecretFile=s\n",
		"SecretFile=s: it is no public key"},
	{"[Source a]\nVerify=jwt\nSecretFile=public\nIssuer=i\nAudience=a\n",
		"SecretFile=public: Verify=jwt wants keys of RSA or P-256"},
	{"[Source a]\nVerify=http-signature\nSecretFile=pem\n" PUBLIC,
		"SecretFile=pem: it holds PEM that is damaged"},
	{"[Source a]\nVerify=http-signature\nSecretFile=s\n",
		"CoveredComponents=@target-uri: PublicURL= in [Daemon] is needed"},
	{"[Source a]\nVerify=http-signature\nSecretFile=s\nCoveredComponents=@method\n",
		"without content-digest: anyone could change the body"},
	{"[Source a]\nVerify=http-signature\nSecretFile=s\n"
	 "CoveredComponents=content-digest @host\n",
		"CoveredComponents=@host: RFC 9421 knows no such component"},
	{"[Source a]\nVerify=http-signature\nSecretFile=s\n"
	 "CoveredComponents=content-digest X-Foo\n",
		"small letters"},
	{"[Source a]\nVerify=http-signature\nSecretFile=s\n"
	 "CoveredComponents=content-digest @path;x=y\n",
		"it has no parameters"},
	{"[Source a]\nVerify=jwt\nKeysURL=https://h/k\nAudience=a\n",
		"Verify=jwt with KeysURL= needs Issuer="},
	{"[Source a]\nVerify=jwt\nKeysURL=https://h/k\nIssuer=a\n",
		"Verify=jwt with KeysURL= needs Audience="},
	{"[Source a]\nVerify=ed25519\nKeysURL=http://h/k\n", "https is wanted"},
	{"[Source a]\nVerify=ed25519\nKeysURL=http://127.0.0.1.evil.example/k\n",
		"https is wanted"},
	{"[Source a]\nVerify=ed25519\nKeysURL=ftp://h/k\n", "http:// or https://"},
	{"[Source a]\nVerify=ed25519\nSecretFile=public\nSignedContent={id}{body}\n",
		"needs DeliveryField=header:NAME"},
	{"[Source a]\nVerify=standard-webhooks\n",
		"Verify=standard-webhooks needs SecretFile="},
	{"[Source a]\nVerify=twilio\n" PUBLIC, "Verify=twilio needs SecretFile="},
	{"[Source a]\nVerify=twilio\nSecretFile=s\n",
		"f:2: Verify=twilio needs PublicURL="},
	{"[Source a]\nVerify=standard-webhooks\nSecretFile=pair\n",
		"f:3: SecretFile=pair: Verify=standard-webhooks wants whsec_ or whpk_ "
		"and base64"},
	{"[Source a]\nVerify=standard-webhooks\nSecretFile=prefix\n",
		"SecretFile=prefix: Verify=standard-webhooks wants"},
	/* Beside another scheme one key is enough, and none is too few. */
	{"[Source a]\nVerify=header standard-webhooks\nSecretFile=pair\nSecretFile=open\n"
	 "SecretFile=\nSecretFile=pair\n",
		"f:6: SecretFile=pair: Verify=standard-webhooks wants"},
	{"[Source a]\nVerify=header hmac\nSecretFile=s\nKeyEncoding=base64\n",
		"f:3: SecretFile=s: the secret is not base64, as KeyEncoding= says"},
	{"[Source a]\nVerify=none token\n", "Verify=none stands alone"},
	{"[Source a]\nVerify=token\n", "Verify=token needs SecretFile=, or UploadURL="},
	{"[Source a]\nVerify=header\n", "Verify=header needs SecretFile="},
	{"[Source a]\nVerify=basic\n", "Verify=basic needs SecretFile="},
	{"[Source a]\nVerify=hmac\n", "Verify=hmac needs SecretFile="},
	{"[Source a]\nVerify=basic\nSecretFile=s\n", "user:password"},
	{"[Source a]\nVerify=hmac\nSecretFile=/gone\n", "f:3: SecretFile=/gone: no such"},
	{"[Source a]\nVerify=hmac\nSecretFile=gone\n", "SecretFile=gone: no such file"},
	{"[Source a]\nVerify=hmac\nSecretFile=empty\n", "empty: the file is empty"},
	{"[Source a]\nVerify=hmac\nSecretFile=s\nSecretFile=s\nKeyEncoding=hex\n"
	 "SecretFile=\nSecretFile=s\n",
		"f:7: SecretFile=s: the secret is not hex"},
	{"[Source a]\nVerify=hmac\nSecretFile=prefix\nKeyPrefix=whsec_\n", "no key"},
	{OPEN "APIKeyFile=line\n", "one line of printable ASCII"},
	{OPEN "Path=/a?b\n", "no query"},
	{OPEN "Path=/a b\n", "no blanks"},
	{OPEN "Path=/{a}\n", "a path is compared as it is sent"},
	{OPEN "Path=/%zz\n", "a path is compared as it is sent"},
	{OPEN "Path=/\xc3\xbc\n", "a path is compared as it is sent"},
	{OPEN "Path=/healthz\n", "the daemon's own"},
	{OPEN "[Source b]\nVerify=none\nPath=/callback/a\n",
		"f:5: Path=/callback/a is that of [Source a] already"},
	{OPEN "IdField=id\n", "\"id\": a field is a JSON pointer"},
	{OPEN "IdField=form:/x\n", "query: and form: need a name"},
	{OPEN "IdField=last:x\n", "\"last:x\": a field is a JSON pointer"},
	{OPEN "Where=form:=y\n", "need a name"},
	{OPEN "SuccessValues=*\n", "success is never guessed"},
	{OPEN "ErrorValues=*\nPendingValues=*\n", "\"*\" is one of ErrorValues="},
	{OPEN "SuccessValues=\"a\n", "a quote is opened and never closed"},
	{OPEN "SuccessValues=ok\nErrorValues=bad OK\n",
		"\"OK\" is one of SuccessValues="},
	{OPEN "SignatureHeader=form:x/y\n", "a signature stands in a header"},
	{OPEN "SignatureHeader=last:form:x\n", "a signature stands in a header"},
	{OPEN "SignatureHeader=/x\n", "a signature stands in a header"},
	{OPEN "SignatureHeader=a b\n", "header"},
	{OPEN "TokenHeader=a:b\n", "the name of a header"},
	{OPEN "SignatureEncoding=raw\n", "one of these is wanted: hex base64"},
	{OPEN "SignatureAlgorithm=md5\n", "sha1 sha256 sha384 sha512"},
	{OPEN "SignedContent={bod}{body}\n", "{id} {timestamp} {body}"},
	{OPEN "SignedContent={form}{form:x}\n", "can stand there once"},
	{OPEN "SignedContent={form:}{body}\n", "{form:NAME} for one field"},
	{OPEN "SignedContent={id}\n", "without {body}"},
	{"[Source a]\nVerify=hmac\nSecretFile=s\nSignatureHeader=form:x\n",
		"SignedContent= would cover the signature itself"},
	{"[Source a]\nVerify=hmac\nSecretFile=s\nSignatureHeader=form:x\n"
	 "SignedContent={form:x}\nIdField=form:x\nStatusField=\n",
		"f:5: SignedContent= would cover the signature itself"},
	{"[Source a]\nVerify=hmac\nSecretFile=s\nSignedContent={timestamp}.{body}\n",
		"f:4: SignedContent= with {timestamp} needs TimestampHeader="},
	{"[Source a]\nVerify=hmac\nSecretFile=s\nSignedContent={id}.{body}\n",
		"needs DeliveryField=header:NAME"},
	{"[Source a]\nVerify=hmac\nSecretFile=s\nSignedContent={url}{body}\n",
		"needs PublicURL="},
	{"[Source a]\nVerify=hmac\nSecretFile=s\nSignatureStyle=pairs\n",
		"needs SignatureField="},
	{OPEN "StatusURL=https://h/x\n", "must hold {id}"},
	{OPEN "StatusURL=https://h/ {id}\n", "no blanks"},
	{OPEN "UploadURL=file:///x\n", "http:// or https://"},
	{OPEN "CAFile=gone\n", "CAFile=gone: no such file"},
	{OPEN "Confirm=yes\n", "f:3: Confirm=yes needs StatusURL="},
	{OPEN "Confirm=yes\nStatusURL=https://h/{id}\nStatusField=\n",
		"f:3: Confirm=yes needs StatusField="},
	{OPEN "ExpectWithin=0\n", "at least 1ms"},
	{OPEN "Confirm=maybe\n", "yes or no"},
	{OPEN "Tolerance=0\n", "at least 1s"},
	/* hooks */
	{"[Hook h]\n", "f:1: [Hook h] has no Exec="},
	{"[Hook h]\nExec=\"/bin/true\n", "f:2: Exec="},
	{"[Hook h]\nMode=stream\n", "[Hook h] has no Exec="},
	{"[Hook h]\nExec=/bin/w\nMode=stream\nSocket=/s\n",
		"f:4: Socket= is for Mode=socket"},
	{"[Hook h]\nExec=/bin/w\nSocket=/s\n", "f:3: Socket= is for Mode=socket"},
	{"[Hook h]\nMode=socket\n", "f:2: Mode=socket needs Socket="},
	{"[Hook h]\nMode=socket\nSocket=s\n", "Socket=s: an absolute path is wanted"},
	{"[Hook h]\nMode=socket\nSocket=/s\nExec=/bin/w\n",
		"f:4: Exec= cannot be had beside Mode=socket"},
	{"[Hook "
	 "h]\nMode=socket\nSocket=/1234567890123456789012345678901234567890123456789"
	 "01234567890123456789012345678901234567890123456789012345678\n",
		"f:3: Socket=: the path of a socket has at most 107 bytes"},
	{"[Hook h]\nExec=/bin/w x${CALLBACK_ID}\nMode=stream\n",
		"f:2: Exec=: ${CALLBACK_ID} is of one callback"},
	{"[Hook h]\nExec=/bin/w -- ${CALLBACK_X}\nExport=X:/x\nMode=batch\n",
		"f:2: Exec=: ${CALLBACK_X} is of one callback"},
	{"[Hook h]\nExec=/bin/w\nMode=batch\nBatchMax=0\n",
		"BatchMax=0: a number from 1 to 1000 is wanted"},
	{"[Hook h]\nExec=/bin/true\nMode=fast\n", "one of these is wanted"},
	{"[Hook h]\nExec=/bin/true\nSerialize=perhaps\n", "yes or no is wanted"},
	{"[Hook h]\nExec=/bin/true\nMinInterval=soon\n", "a time span such as"},
	{"[Hook h]\nExec=/bin/true\nRateLimit=fast\n",
		"RateLimit=fast: N or N/SPAN is wanted"},
	{"[Hook h]\nExec=/bin/true\nRateLimit=0\n", "from 1 to 1000000"},
	{"[Hook h]\nExec=/bin/true\nRateLimit=99999999999999999999\n",
		"from 1 to 1000000"},
	{"[Hook h]\nExec=/bin/true\nRateLimit=10/\n", "behind the /"},
	{"[Hook h]\nExec=/bin/true\nRateLimit=10/fortnight\n", "behind the /"},
	{"[Hook h]\nExec=/bin/true\nRateLimit=10/0\n", "a span from 1ms to 1d"},
	{"[Hook h]\nExec=/bin/true\nRateLimit=10/infinity\n", "a span from 1ms to 1d"},
	{"[Hook h]\nExec=/bin/true\nExport=ID:/x\n", "CALLBACK_ID is built in"},
	{"[Hook h]\nExec=/bin/true\nExport=X:/x X:/y\n", "CALLBACK_X stands twice"},
	{"[Hook h]\nExec=/bin/true\nExport=X\n", "\"X\": NAME:FIELD is wanted"},
	{"[Hook h]\nExec=/bin/true\nExport=9:/x\n", "NAME:FIELD is wanted"},
	{"[Hook h]\nExec=/bin/true\nExport=X:x\n", "a field is"},
	{"[Hook h]\nExec=/bin/true\nExport=X:form:\n", "need a name"},
	{"[Hook h]\nExec=/bin/true\nEnvironment=A-B=hidden\n", "NAME=VALUE is wanted"},
	{"[Hook h]\nExec=/bin/true\nEnvironment=CALLBACK_RUN=x\n", "is built in"},
	{"[Hook h]\nExec=/bin/true\nExport=X:/x\nEnvironment=CALLBACK_X=x\n", "already"},
	{"[Hook h]\nExec=/bin/true\nSuccessExitStatus=256\n", "from 0 to 255"},
	{"[Hook h]\nExec=/bin/true\nPermanentExitStatus=0\n", "0 is a success"},
	{"[Hook h]\nExec=/bin/true\nSuccessExitStatus=3\nPermanentExitStatus=3\n",
		"3 is a success"},
	{"[Hook h]\nExec=/bin/true\nWorkingDirectory=srv\n", "absolute path"},
	{"[Hook h]\nExec=/bin/true\nOn=success dead\nWhere=/a=b\n",
		"f:4: Where= cannot be had beside On=dead"},
};

static const struct complaint warnings[] = {
	{OPEN "KeysURL=https://h\n", "f:3: KeysURL= is of no use without ed25519"},
	{"[Source a]\nVerify=jwt\nSecretFile=rsa\nIssuer=i\n",
		"f:2: Verify=jwt without Audience="},
	{"[Source a]\nVerify=hmac\nSecretFile=open\n",
		"f:3: SecretFile=open: others can read it"},
	{"[Source a]\nVerify=header\nTokenHeader=X\nSecretFile=blank\n",
		"f:4: SecretFile=blank: no header can hold it"},
	{"[Source a]\nVerify=header hmac\nTokenHeader=X\nSecretFile=s\nSecretFile=two\n",
		"f:5: SecretFile=two: no header can hold it"},
	{OPEN "SecretFile=s\n", "SecretFile= is of no use beside Verify=none"},
	{"[Hook h]\nMode=socket\nSocket=/s\nEnvironment=A=b\n",
		"f:4: Environment= is of no use beside Mode=socket"},
	{"[Hook h]\nExec=/bin/w\nMode=stream\nPermanentExitStatus=3\n",
		"f:4: PermanentExitStatus= is of no use beside Mode=stream"},
	{"[Source a]\nVerify=hmac\nSecretFile=s\nSignatureHeader=form:s\n"
	 "SignedContent={form:x}\nIdField=form:x/id form:y\nStatusField=form:x\n",
		"f:6: IdField=form:y stands outside the form's field x"},
	{"[Source a]\nVerify=hmac\nSecretFile=s\nSignatureHeader=form:s\n"
	 "SignedContent={form:x}\nIdField=form:x/id\n",
		"StatusField=/status stands outside the form's field x"},
	{OPEN "UploadURL=https://h/u\n", "UploadURL= without PublicURL="},
	{"[Source a]\nPreset=eachlabs\n", "without SecretFile= only tokens of uploads"},
	{"[Daemon]\nPublicURL=https://h\n[Source a]\nVerify=header\nSecretFile=s\n"
	 "UploadURL=https://h/u\n",
		"UploadURL= without Verify=token"},
	{"[Source a]\nVerify=hmac\nSecretFile=s\nTimestampHeader=X-T\n",
		"does not cover {timestamp}"},
	{OPEN "StatusURL=https://h/{id}\nStatusField=\n",
		"f:3: StatusURL= is not asked: with an empty StatusField="},
	{"[Source a]\nPreset=eachlabs\nSecretFile=s\n[Hook h]\nExec=/bin/true\n"
	 "On=COMPELTED\n",
		"f:6: On=COMPELTED: no list of its sources holds this status; did you "
		"mean COMPLETED?\n"},
	{OPEN "[Source b]\nVerify=none\nSuccessValues=shipped\n[Hook h]\nSource=b a\n"
	      "Exec=/bin/true\nOn=shipd success canceld\nOn=\nOn=Shiped\n",
		"f:11: On=Shiped: no list"},
	{"[Hook h]\nExec=/bin/true --size=${CALLBACK_SIZE}\n",
		"f:2: Exec=: ${CALLBACK_SIZE} is neither built in nor in "
		"Export="},
};

static void test_errors(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++)
		assert_one_complaint(&errors[i], "", 1);
}

static void test_warnings(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(warnings); i++)
		assert_one_complaint(&warnings[i], "", 0);
}

static void test_nothing_to_say(void **state)
{
	static const char *const texts[] = {
		"[Daemon]\nPublicURL=https://h\n[Source a]\nPreset=eachlabs\n",
		"[Hook h]\nExec=/bin/true\nOn=dead\n",
		"[Hook h]\nExec=/bin/true\nOn=any\nWhere=/a=b\n",
		/* raw statuses: of another source, in a list, in none, near an unheard one */
		OPEN "[Hook h]\nExec=/bin/true\nSource=a\nOn=PUSHED merged Success\n",
		OPEN "[Source b]\nVerify=none\nSuccessValues=compelted\n"
		     "[Hook h]\nExec=/bin/true\nOn=COMPELTED\n",
		OPEN "[Source b]\nVerify=none\nSuccessValues=shipped\n"
		     "[Hook h]\nExec=/bin/true\nSource=a\nOn=shiped\n",
		OPEN "SuccessValues=200 204\n[Hook h]\nExec=/bin/true\nOn=201\n",
		OPEN "StatusField=\n[Hook h]\nExec=/bin/true\nOn=complted\n",
		/* public keys: where they come from, and that anybody may read them */
		"[Source a]\nVerify=jwt\nSecretFile=rsa\nIssuer=i\nAudience=a\n",
		"[Source a]\nVerify=jwt\nKeysURL=https://h/k\nIssuer=i j\nAudience=a\n",
		"[Source a]\nVerify=ed25519\nKeysURL=http://127.0.0.1:8/k\n",
		"[Source a]\nVerify=ed25519\nSecretFile=public\n",
		"[Source a]\nVerify=standard-webhooks\nSecretFile=public\n",
		"[Source a]\nVerify=http-signature\nSecretFile=rsa\n" PUBLIC,
		"[Source a]\nVerify=http-signature\nSecretFile=s\nCoveredComponents="
		"content-digest @query-param;name=a\n",
		"[Source a]\nVerify=sns\nAllowTopic=arn:aws-cn:sns:cn-north-1:1:t "
		"arn:aws:sns:eu-west-1:1:t\n",
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_says(texts[i], false, 0, "");
}

static void test_checking_without_credentials(void **state)
{
	static const char text[] = "[Source a]\nVerify=hmac\nSecretFile=gone\n";
	(void)state;
	assert_says(text, false, 1, "f:3: SecretFile=gone: no such file\n");
	assert_says(text, true, 0, "f:3: SecretFile=gone: no such file\n");
	assert_says("[Source a]\nVerify=hmac\nSecretFile=/gone\n", true, 1,
		"f:3: SecretFile=/gone: no such file\n");
}

/* What is in the environment of a hook may be a secret: it is not repeated. */
static void test_environment_is_not_repeated(void **state)
{
	(void)state;
	assert_says("[Hook h]\nExec=/bin/true\nEnvironment=A-B=hidden\n", false, 1,
		"f:3: Environment=: NAME=VALUE is wanted, NAME made of letters, digits "
		"and _\n");
}

/* ---- the table ---- */

static void test_table(void **state)
{
	size_t n;
	(void)state;
	const struct key *k = keys_all(&n);
	for (size_t i = 0; i < n; i++) {
		assert_ptr_equal(key_find(k[i].section, bytes_of(k[i].name)), &k[i]);
		assert_true(
			k[i].sentence && k[i].sentence[strlen(k[i].sentence) - 1] == '.');
		assert_true(i == 0 || k[i].section >= k[i - 1].section);
		assert_string_equal(
			key_nearest(k[i].section, bytes_of(k[i].name)), k[i].name);
	}
}

static void test_nearest(void **state)
{
	static const struct {
		const char *written, *nearest;
	} cases[] = {{"SecretFiel", "SecretFile"}, {"secretfile", "SecretFile"},
		{"Secret", NULL}, {"Verfiy", "Verify"}, {"Tolerence", "Tolerance"},
		{"StatusUrl", "StatusURL"}, {"Foo", NULL}, {"", NULL},
		{"SecretFileSecretFileSecretFileSecretFileSecretFile", NULL}};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *got = key_nearest(SECTION_SOURCE, bytes_of(cases[i].written));
		if (cases[i].nearest)
			assert_string_equal(got ? got : "none", cases[i].nearest);
		else
			assert_null(got);
	}
	assert_int_equal(key_distance(bytes_of("abcdefgh"), bytes_of("ABDCEFGH")), 1);
	assert_int_equal(key_distance(bytes_of("abcdefgh"), bytes_of("abxxefgh")), 2);
	assert_int_equal(key_distance(bytes_of("abcdefgh"), bytes_of("abcdefg")), 1);
	assert_true(key_distance(bytes_of("abcd"), bytes_of("wxyz")) == SIZE_MAX);
	assert_true(key_distance(bytes_of("a"), bytes_of("b")) == SIZE_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_problems_in_order),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_warnings),
		cmocka_unit_test(test_nothing_to_say),
		cmocka_unit_test(test_checking_without_credentials),
		cmocka_unit_test(test_environment_is_not_repeated),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_nearest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
