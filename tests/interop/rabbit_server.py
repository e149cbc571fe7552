"""A private RabbitMQ node with its own name, ports, epmd and folder."""
import os
import re
import shutil
import signal
import subprocess
import threading

import stage

COOKIE = "CELERIACTEST"


class RabbitServer:
    """Ended with its stage; freeze, kill and start act on the node alone.

    `plugins` are names as rabbitmq-plugins knows them, `config` lines of rabbitmq.conf, `options` ports to
    add to it: {"listeners.ssl.default": "tls"} gives the server attribute `tls`, a free port.
    """

    def __init__(self, owner, name, plugins, config, options):
        self.stage, self.name, self.process = owner, name, None
        self.asking = threading.Lock()  # two erl_calls at once may take the same name, and one is turned away
        self.folder = folder = os.path.join(owner.dir, name)
        os.makedirs(folder)
        self.port, dist, epmd_port = stage.free_port(), stage.free_port(), stage.free_port()
        for setting, attribute in options.items():
            setattr(self, attribute, stage.free_port())
            config += "\n%s = %d" % (setting, getattr(self, attribute))
        with open(folder + "/plugins", "w") as f:
            f.write("[%s].\n" % ",".join(plugins))
        with open(folder + "/rabbitmq.conf", "w") as f:
            f.write("loopback_users = none\ntotal_memory_available_override_value = 4GB\n"
                    "disk_free_limit.absolute = 50MB\nlog.file = false\nlog.console = true\nlog.console.level = warning\n"
                    "%s\n" % config)
        with open(folder + "/.erlang.cookie", "w") as f:
            f.write(COOKIE)
        os.chmod(folder + "/.erlang.cookie", 0o400)
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("RABBITMQ_")}
        self.env.update(
            HOME=folder, ERL_EPMD_PORT=str(epmd_port), ERL_EPMD_ADDRESS="127.0.0.1",
            RABBITMQ_NODENAME="celeriac%d@localhost" % self.port, RABBITMQ_NODE_IP_ADDRESS="127.0.0.1",
            RABBITMQ_NODE_PORT=str(self.port), RABBITMQ_DIST_PORT=str(dist), RABBITMQ_MNESIA_BASE=folder + "/mnesia",
            RABBITMQ_LOG_BASE=folder + "/log", RABBITMQ_PID_FILE=folder + "/pid",
            RABBITMQ_ENABLED_PLUGINS_FILE=folder + "/plugins", RABBITMQ_CONFIG_FILE=folder + "/rabbitmq",
            RABBITMQ_CONF_ENV_FILE=folder + "/none",
            RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none")
        owner.run("epmd-" + name, ["epmd", "-port", str(epmd_port), "-address", "127.0.0.1"], env=self.env)

    def url(self, vhost="/"):
        return "amqp://guest:guest@127.0.0.1:%d/%s" % (self.port, vhost)

    def start(self):
        script = "/usr/lib/rabbitmq/bin/rabbitmq-server"  # not Debian's wrapper, which changes the user
        self.process = self.stage.run(self.name, [script if os.path.exists(script) else shutil.which("rabbitmq-server")],
                                      env=self.env, start_new_session=True)

        def up():
            assert self.process.poll() is None, "rabbitmq-server ended\n" + self.stage.log(self.name)
            return self.evaluate("rabbit:is_running().") == "{ok, true}"
        stage.wait_for(up, 300, "rabbitmq-server", every=0.2)

    def evaluate(self, code):
        """What the Erlang expression comes to in the node, as "{ok, ...}"; much quicker than rabbitmqctl."""
        with self.asking:
            done = subprocess.run(["erl_call", "-r", "-c", COOKIE, "-n", self.env["RABBITMQ_NODENAME"], "-e"], input=code + "\n",
                                  env=self.env, capture_output=True, text=True, timeout=30)
        return done.stdout.strip()

    def add_vhost(self, name):
        answer = self.evaluate('rabbit_vhost:add(<<"%s">>, <<"test">>), rabbit_auth_backend_internal:set_permissions('
                               '<<"guest">>, <<"%s">>, <<".*">>, <<".*">>, <<".*">>, <<"test">>).' % (name, name))
        assert answer.startswith("{ok"), answer

    def trace(self, vhost):
        """From now on each message of the vhost is also sent to its exchange amq.rabbitmq.trace."""
        answer = self.evaluate('rabbit_trace:start(<<"%s">>).' % vhost)
        assert answer.startswith("{ok"), answer

    def messages(self, vhost="/"):
        """{queue: (ready, held by consumers)}"""
        code = (
            'lists:flatten([io_lib:format("~s ~b ~b;", [element(4, amqqueue:get_name(Q)) | [V || {_, V} <- '
            'rabbit_amqqueue:info(Q, [messages_ready, messages_unacknowledged])]]) || '
            'Q <- rabbit_amqqueue:list(<<"%s">>)]).' % vhost)
        answer = self.evaluate(code)
        while "{normal," in answer:  # a queue went while it was asked
            answer = self.evaluate(code)
        assert answer.startswith("{ok"), answer
        return {m[1]: (int(m[2]), int(m[3])) for m in re.finditer(r"([^\s;\"]+) (\d+) (\d+);", answer)}

    def left(self, *queues):
        """Messages in these queues, ready or held."""
        found = self.messages()
        return sum(sum(found.get(queue, (0, 0))) for queue in queues)

    def bound(self, exchange, vhost="/"):
        """The queues bound to an exchange."""
        answer = self.evaluate(
            'lists:flatten([io_lib:format("~s;", [element(4, element(4, B))]) || B <- rabbit_binding:list_for_source('
            'rabbit_misc:r(<<"%s">>, exchange, <<"%s">>))]).' % (vhost, exchange))
        assert answer.startswith("{ok"), answer
        return re.findall(r"([^\s;\"]+);", answer)

    def close_connections(self):
        assert "ok" in self.evaluate('rabbit_networking:close_all_connections("cut by the test").')

    def signal(self, number):
        os.killpg(self.process.pid, number)

    def stop(self):
        """As an operator does it: what is known is written."""
        self.signal(signal.SIGTERM)
        self.process.wait(60)
        self.stage.processes.remove(self.process)

    def kill(self):
        self.signal(signal.SIGKILL)
        self.process.wait()
        self.stage.processes.remove(self.process)
