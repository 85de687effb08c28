"""What of mitmproxy's inside the gateway stands on: these classes are no documented API.

When a test here fails after an update of mitmproxy, the module that it names has to be read again beside mitmproxy's.
"""

import dataclasses
import inspect
import subprocess
import sys
import warnings

import pytest

with warnings.catch_warnings():
    # pyparsing's new names are older than mitmproxy's newest release
    warnings.simplefilter("ignore", DeprecationWarning)
    from mitmproxy.addons import proxyserver, tlsconfig
    from mitmproxy.connection import Server
    from mitmproxy.net import tls as net_tls
    from mitmproxy.proxy import layer, layers, mode_servers, mode_specs, server, tunnel
    from mitmproxy.proxy.layers import http, tcp, tls
    from mitmproxy.proxy.layers.http import _events, _hooks, _http1, _http2

    import proxy_addons.mitm.lean_import  # noqa: F401 - before mitmproxy, as in the gateway
    from proxy_addons.mitm import http1, stream, upstream
    from proxy_addons.mitm import layer as mitm_layer
    from proxy_addons.mitm import server as mitm_server

SIGNATURES = [
    ("mitm_layer", http.HttpLayer.__init__, ["self", "context", "mode"]),
    ("mitm_layer", http.HttpLayer.make_stream, ["self", "stream_id"]),
    ("mitm_layer", http.HttpLayer.get_connection, ["self", "event", "reuse"]),
    ("mitm_layer", http.HttpLayer.register_connection, ["self", "command"]),
    ("mitm_layer", http.HttpLayer.event_to_child, ["self", "child", "event"]),
    ("mitm_stream", http.HttpStream.__init__, ["self", "context", "stream_id"]),
    ("mitm_stream", http.HttpStream.state_wait_for_request_headers, ["self", "event"]),
    ("mitm_stream", http.HttpStream.start_request_stream, ["self"]),
    ("mitm_stream", http.HttpStream.make_server_connection, ["self"]),
    ("mitm_stream", http.HttpStream.handle_protocol_error, ["self", "event"]),
    ("mitm_stream", http.HttpStream.handle_connect_regular, ["self"]),
    ("mitm_stream", http.HttpStream.handle_connect_finish, ["self"]),
    ("mitm_stream", http.HttpStream.send_response, ["self", "already_streamed"]),
    ("mitm_stream", tcp.TCPLayer.__init__, ["self", "context", "ignore"]),
    ("mitm_layer", tls.ServerTLSLayer.__init__, ["self", "context", "conn"]),
    ("mitm_http1", _http1.Http1Server.__init__, ["self", "context"]),
    ("mitm_http1", _http1.Http1Server.read_headers, ["self", "event"]),
    ("mitm_http1", _http1.Http1Server.send, ["self", "event"]),
    ("mitm_http1", _http1.Http1Client.read_headers, ["self", "event"]),
    ("mitm_http1", _http1.Http1Client.send, ["self", "event"]),
    ("mitm_http1", _http1.Http1Connection.read_body, ["self", "event"]),
    ("mitm_http1", _http1.Http1Connection.mark_done, ["self", "request", "response"]),
    ("mitm_http1", _http2.Http2Server._handle_event, ["self", "event"]),
    ("mitm_http1", _http2.Http2Connection.is_open_for_us, ["self", "stream_id"]),
    ("mitm_server", mode_servers.ServerInstance.__init__, ["self", "mode", "manager"]),
    ("mitm_server", mode_servers.ServerInstance.make_top_layer, ["self", "context"]),
    ("mitm_server", mode_servers.ServerInstance.handle_stream, ["self", "reader", "writer"]),
    ("mitm_server", mode_servers.ProxyConnectionHandler.__init__, ["self", "master", "r", "w", "options", "mode"]),
    ("mitm_server", mode_servers.ProxyConnectionHandler.handle_hook, ["self", "hook"]),
    ("mitm_server", server.ConnectionHandler.open_connection, ["self", "command"]),
    ("mitm_server", server.ConnectionHandler.close_connection, ["self", "connection", "half_close"]),
    ("mitm_server", layers.modes.HttpProxy.__init__, ["self", "context"]),
    ("mitm_server", net_tls.starts_like_tls_record, ["d"]),
    ("mitm_server", proxyserver.Proxyserver.register_connection, ["self", "connection_id", "handler"]),
    ("tls", tlsconfig.TlsConfig.configure, ["self", "updated"]),
    ("tls", tlsconfig.TlsConfig.tls_start_client, ["self", "tls_start"]),
    ("tls", tlsconfig.TlsConfig.tls_start_server, ["self", "tls_start"]),
]


@pytest.mark.parametrize(
    ("module", "function", "parameters"), SIGNATURES, ids=lambda item: getattr(item, "__qualname__", None)
)
def test_a_function_that_we_override_or_call_has_its_parameters(module, function, parameters):
    found = list(inspect.signature(function).parameters)
    assert found == parameters, f"{function.__qualname__} has moved: read proxy_addons/{module}.py again"


@pytest.mark.parametrize(
    ("record", "names"),
    [
        (http.GetHttpConnection, ["address", "tls", "via", "transport_protocol"]),
        (http.GetHttpConnectionCompleted, ["command", "reply"]),
        (http.RegisterHttpConnection, ["connection", "err"]),
        (_events.RequestHeaders, ["stream_id", "request", "end_stream", "replay_flow"]),
        (_events.ResponseHeaders, ["stream_id", "response", "end_stream"]),
        (_hooks.HttpResponseHeadersHook, ["flow"]),
    ],
)
def test_a_record_has_its_fields(record, names):
    assert [field.name for field in dataclasses.fields(record) if field.name != "blocking"] == names


def test_the_states_of_a_stream_are_where_we_compare_them():
    for name in ("state_done", "state_errored", "state_stream_request_body", "state_wait_for_response_headers"):
        assert callable(getattr(http.HttpStream, name))
    source = inspect.getsource(http.HttpStream)
    assert "self.client_state = self.state_wait_for_request_headers" in source
    assert "event.replay_flow" in inspect.getsource(http.HttpStream.state_wait_for_request_headers)


def test_a_connection_that_we_put_in_before_the_start_is_kept():
    assert "self.connections.setdefault(self.context.client, http_conn)" in inspect.getsource(
        http.HttpLayer._handle_event
    )


def test_the_body_reader_is_an_attribute_that_is_set_after_each_head():
    for parser in (_http1.Http1Server, _http1.Http1Client):
        assert "self.body_reader = make_body_reader(" in inspect.getsource(parser.read_headers)
    assert "h11_event = self.body_reader(self.buf)" in inspect.getsource(_http1.Http1Connection.read_body)


def test_the_classes_that_we_derive_from_can_still_be_derived_from():
    assert issubclass(upstream.UpstreamServer, Server)
    assert issubclass(mitm_layer.GatewayHttpLayer, layer.Layer)
    assert issubclass(upstream.UpstreamLayer, layer.Layer)
    assert issubclass(http1.UpstreamHttp1, _http1.Http1Client)
    assert isinstance(mode_specs.ProxyMode.parse("stores"), mitm_server.StoresMode)
    assert stream.FallbackHook.name == "fallback"
    assert tunnel.LayerStack


def test_the_verification_of_servers_that_we_inherit_is_strict():
    source = inspect.getsource(tlsconfig.TlsConfig.tls_start_server)
    assert "VERIFY_PEER" in source
    assert "X509_VERIFY_PARAM_set1_host" in source


def test_the_lean_import_leaves_out_what_the_gateway_never_runs():
    code = (
        "import proxy_addons.mitm.master, proxy_addons.chain, sys;"
        "top = {name.partition('.')[0] for name in sys.modules};"
        "print(sorted(top & {'flask', 'werkzeug', 'jinja2', 'ldap3', 'tornado'}))"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout.strip() == "[]"


def test_the_front_serves_before_mitmproxy_is_imported():
    slow = "{'mitmproxy', 'trustme', 'cryptography'}"
    code = f"import proxy_addons.gateway, sys; print(sorted({slow} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout.strip() == "[]"
