"""What stands in the container: one configuration, the hooks it names, one secret."""
SECRET = "a secret of the test, known to both sides"

CONFIG = """\
[Daemon]
Listen=127.0.0.1:8080
MaxConcurrent=8
LogLevel=info

[Source demo]
Verify=hmac
SecretFile=demo.secret
SignaturePrefix=sha256=

[Source chatty]
Verify=hmac
SecretFile=demo.secret
SignaturePrefix=sha256=

[Source family]
Verify=hmac
SecretFile=demo.secret
SignaturePrefix=sha256=

[Source hidden]
Verify=hmac
SecretFile=demo.secret
SignaturePrefix=sha256=

[Source flood]
Verify=hmac
SecretFile=demo.secret
SignaturePrefix=sha256=

[Source apart]
Verify=hmac
SecretFile=demo.secret
SignaturePrefix=sha256=

[Source failing]
Verify=hmac
SecretFile=demo.secret
SignaturePrefix=sha256=

[Hook failing]
Source=failing
Exec=/usr/local/bin/failing
Retries=1
RetryDelay=100ms

[Hook publish]
Source=demo
Exec=/usr/local/bin/publish

[Hook talk]
Source=chatty
Exec=/usr/local/bin/talk

[Hook family]
Source=family
Exec=/usr/local/bin/family
RetryDelay=1s

[Hook hidden]
Source=hidden
Exec=/usr/local/bin/hidden
Timeout=2s
KillAfter=1s
Retries=0
"""

CONFIG += """
[Hook apart]
Source=apart
Mode=socket
Socket=/run/callbackd-hook/apart.sock
RetryDelay=500ms
"""

# What callbackd-hook@apart runs: it tells who it is and what it can see.
APART = (
    'read -r payload; echo "$(id -un) $(pwd) $payload $CALLBACK_ID $CALLBACK_ATTEMPT" >>seen\n'
    'cat /etc/callbackd/demo.secret /var/lib/callbackd/* >>seen 2>/dev/null\n'
    'echo x 2>/dev/null >/etc/callbackd/written && echo wrote >>seen\n'
    'echo "apart says $CALLBACK_ID"\n[ "$CALLBACK_ATTEMPT" = 2 ]\n'
)

# Each writes what it saw into the state directory, its working directory.
HOOKS = {
    "publish": 'echo "publishing $CALLBACK_ID"\necho "$CALLBACK_ID" >>published\n',
    "failing": 'echo "failing badly" >&2\nexit 3\n',
    # More lines than any queue holds.
    "talk": "i=0\nwhile [ $i -lt 60000 ]; do echo \"line $i\"; i=$((i+1)); done\n",
    # A child in its group, one in a session of its own, one that forgot where it is from.
    # The second attempt is at peace.
    "family": 'echo "$CALLBACK_ATTEMPT" >>attempts\n'
              '[ "$CALLBACK_ATTEMPT" = 1 ] || exit 0\n'
              "/bin/sleep 4241 &\nsetsid /bin/sleep 4242 &\n"
              "setsid env -i /bin/sleep 4243 &\nwait\n",
    "hidden": "setsid env -i /bin/sleep 4251 >/dev/null 2>&1 &\n/bin/sleep 4252\n",
}
