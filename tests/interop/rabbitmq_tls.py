"""TLS to RabbitMQ with a CA, the host's name and a client certificate; and two servers of which one goes away."""
import os
import ssl
import subprocess

import stage
from celery import Celery

options = stage.arguments(tasks=200)


def certificates(folder):
    """A CA and, signed by it, a certificate for localhost and one for a client; another CA that signed nothing."""
    def openssl(*words):
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)
    for name in ("ca", "other"):
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=celeriac " + name,
                "-keyout", name + ".key", "-out", name + ".pem")
    for name, extension in (("server", "subjectAltName=DNS:localhost"), ("client", "extendedKeyUsage=clientAuth")):
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=" + name, "-keyout", name + ".key", "-out", name + ".csr")
        with open(os.path.join(folder, name + ".ext"), "w") as f:
            f.write(extension + "\n")
        openssl("x509", "-req", "-in", name + ".csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
                "-extfile", name + ".ext", "-out", name + ".pem")
    return {name: os.path.join(folder, name) for name in ("ca.pem", "other.pem", "client.pem", "client.key", "server.pem",
                                                          "server.key")}


def over_tls(s, server, files, results):
    url = "amqps://guest:guest@%s:%d//?ssl_ca_certs=%s" % ("localhost", server.tls, files["ca.pem"])
    mine = "&ssl_certfile=%s&ssl_keyfile=%s" % (files["client.pem"], files["client.key"])
    app = Celery("tls", broker="amqp://guest:guest@localhost:%d//" % server.tls, backend=results.url())
    app.conf.broker_use_ssl = {"ca_certs": files["ca.pem"], "certfile": files["client.pem"], "keyfile": files["client.key"],
                               "cert_reqs": ssl.CERT_REQUIRED, "server_hostname": "localhost"}
    worker = s.worker(options.worker, url + mine, results.url(), name="secure")
    assert app.send_task("interop.add", (1, 2)).get(timeout=20) == 3
    assert app.control.ping(["secure@interop"], timeout=5), "remote control over TLS"
    worker.terminate()
    assert worker.wait(20) == 0

    # Refused, with the reason in the log: an unknown CA, a name that the certificate has not, no certificate of ours.
    for name, broken in (("stranger", url.replace("ca.pem", "other.pem") + mine),
                         ("elsewhere", url.replace("localhost", "127.0.0.1") + mine), ("nobody", url)):
        worker = s.worker(options.worker, broken, name=name, wait=False)
        stage.wait_for(lambda: "Cannot connect to amqps" in s.log(name), 30, name + " to be refused")
        assert "ready." not in s.log(name) and "Connected" not in s.log(name), s.log(name)
        print(name, [line for line in s.log(name).splitlines() if "Cannot connect" in line][0].split(": ", 2)[-1], flush=True)
        worker.kill()
        worker.wait()
        s.processes.remove(worker)


def failover(s, first, second, effects):
    """A list of servers: the next one serves when one goes, at the start and later."""
    urls = [first.url(), second.url()]
    closed = "amqp://guest:guest@127.0.0.1:%d//" % stage.free_port()
    s.worker(options.worker, ";".join([closed] + urls), name="w", queues="failover", env={"EFFECTS_PORT": str(effects.port)})

    def publish(url):
        app = Celery("failover", broker=url)
        app.conf.broker_transport_options = {"confirm_publish": True}
        return [app.send_task("interop.effect", (0.001,), queue="failover", ignore_result=True).id
                for _ in range(options.tasks)]

    def ran(ids):
        return all(effects.client.mget(["effect:" + i for i in ids]))

    ids = publish(urls[0])
    stage.wait_for(lambda: ran(ids), 60, "the tasks of the first server")
    first.kill()
    ids = publish(urls[1])
    stage.wait_for(lambda: ran(ids), 60, "the tasks of the second server")


with stage.Stage() as s:
    files = certificates(s.dir)
    results, effects = s.redis(), s.redis("effects")
    first = s.rabbit(options={"listeners.ssl.default": "tls"}, config="""
ssl_options.cacertfile = %(ca.pem)s
ssl_options.certfile = %(server.pem)s
ssl_options.keyfile = %(server.key)s
ssl_options.verify = verify_peer
ssl_options.fail_if_no_peer_cert = true""" % files)
    over_tls(s, first, files, results)
    failover(s, first, s.rabbit("rabbitmq2"), effects)
