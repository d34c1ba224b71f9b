"""Certificates for tests, by openssl(1)."""

import subprocess


def _openssl(*args):
    subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True, timeout=30)


def certificate(directory, name="cert", key="key", subject="localhost", ca=None, days=30, more=()):
    """
    `name`.pem and `key`.pem in `directory`: for `subject`, localhost and 127.0.0.1, signed by itself
    or by `ca`, the (certificate, key) of another call, with `more` extensions. The certificate's path.
    """
    cert, key = f"{directory}/{name}.pem", f"{directory}/{key}.pem"
    args = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    args += ["-subj", f"/CN={subject}", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    args += ["-days", days, "-keyout", key, "-out", cert]
    if ca:
        args += ["-CA", ca[0], "-CAkey", ca[1], "-addext", "basicConstraints=CA:FALSE"]
    for extension in more:
        args += ["-addext", extension]
    _openssl(*args)
    return cert
