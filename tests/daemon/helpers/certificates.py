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


def expired_certificate(directory):
    """As certificate(), but its end was on the fourth of January 2020. Only `openssl ca` makes such."""
    cert, key, request = (f"{directory}/{name}.pem" for name in ("cert", "key", "request"))
    with open(f"{directory}/ca.conf", "w", encoding="ascii") as f:
        f.write(f"[ca]\ndefault_ca=c\n[c]\ndatabase={directory}/index\nnew_certs_dir={directory}\n"
                "rand_serial=yes\ndefault_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n")
    with open(f"{directory}/index", "w", encoding="ascii"):
        pass
    _openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
             "-subj", "/CN=localhost", "-keyout", key, "-out", request)
    _openssl("ca", "-batch", "-notext", "-config", f"{directory}/ca.conf", "-selfsign", "-keyfile", key,
             "-in", request, "-out", cert, "-startdate", "20200101000000Z", "-enddate", "20200104000000Z")
    return cert
