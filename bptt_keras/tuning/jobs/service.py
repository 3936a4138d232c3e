"""Chief and workers of a job: KerasTuner's gRPC service, secured, plus one more call.

KerasTuner's client and server wait for an hour, trust anyone who connects and lose the
reason why a trial failed. These use the same protocol, sign each call with a shared
secret, and have one additional method, `Report`: see `DurableOracle.report`.
"""

from __future__ import annotations

import concurrent.futures
import hashlib
import hmac
import ipaddress
import json
import secrets
import sys
import time
from collections.abc import Callable
from typing import Any

import grpc
import keras_tuner

from bptt_keras.tuning.keras_tuner_internals import (
    SERVICE,
    RemoteOracle,
    add_service,
    stub_of,
)

_REPORT = "bptt_keras.Tuning"
_SIGNATURE = "bptt-keras-signature"
# Seconds by which the clocks of two machines may differ.
_CLOCKS = 300
# Duration of one attempt to reach the chief, in seconds.
_ATTEMPT = 5.0
# Seconds without its chief after which a worker ends.
PATIENCE = 300.0


class ChiefGoneError(RuntimeError):
    """The chief of a job has not answered for as long as a worker waits.

    Example:
        import os, bptt_keras as bk

        os.environ |= {                       # as a scheduler sets them
            "KERASTUNER_ORACLE_IP": "127.0.0.1",
            "KERASTUNER_ORACLE_PORT": "1",    # where no chief listens
            "KERASTUNER_TUNER_ID": "worker-0",
        }
        try:
            bk.tuning.RandomSearch(
                lambda hp: None, "loss", max_trials=1, directory="runs",
                project_name="far", patience=0.1,
            ).search()
        except bk.tuning.ChiefGoneError as error:
            assert "has not answered" in str(error)
        finally:
            for name in ("IP", "PORT"):
                del os.environ[f"KERASTUNER_ORACLE_{name}"]
            del os.environ["KERASTUNER_TUNER_ID"]
    """


def check_address(address: str, secret: str | None) -> None:
    """Refuses an address that other machines can reach, unless there is a secret.

    Args:
        address: IP address or name that the chief listens on, without the port.
        secret: The shared secret, or `None`.

    Raises:
        ValueError: If there is no secret and the address is not local to this machine.
    """
    if not secret and not _is_local(address):
        raise ValueError(
            f"The chief would listen on {address}, where others can reach it. Set the "
            "same shared secret for chief and workers (BPTT_KERAS_TUNING_SECRET), or "
            "listen on 127.0.0.1."
        )


def _is_local(address: str) -> bool:
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


class Chief:
    """Serves an oracle to workers until it is closed.

    Args:
        oracle: A `DurableOracle`.
        address: IP address to listen on.
        port: Port, or 0 for a free one.
        secret: Shared secret; may be `None` if only this machine can connect.

    Attributes:
        port: The port that it listens on.

    Raises:
        ValueError: If the address needs a secret.
        OSError: If the port is taken.
    """

    def __init__(
        self,
        oracle: keras_tuner.Oracle,
        address: str = "127.0.0.1",
        port: int = 0,
        secret: str | None = None,
    ):
        check_address(address, secret)
        self._server = grpc.server(
            concurrent.futures.ThreadPoolExecutor(max_workers=4),
            interceptors=[_Guard(secret)] if secret else [],
            # Two chiefs on one port would share the workers.
            options=[("grpc.so_reuseport", 0)],
        )
        add_service(self._server, oracle)

        def report(request, context):
            return oracle.report(**request)

        handler = grpc.unary_unary_rpc_method_handler(
            report, request_deserializer=json.loads, response_serializer=_encoded
        )
        self._server.add_generic_rpc_handlers(
            [grpc.method_handlers_generic_handler(_REPORT, {"Report": handler})]
        )
        try:
            self.port = self._server.add_insecure_port(_joined(address, port))
        except RuntimeError:
            self.port = 0
        if not self.port:
            raise OSError(f"The chief cannot listen on {_joined(address, port)}.")
        self._server.start()

    def close(self, grace: float = 1.0) -> None:
        """Stops serving; calls in progress have `grace` seconds."""
        self._server.stop(grace).wait()


class Client(RemoteOracle):
    """The oracle of a worker: each call goes to the chief.

    A chief that does not answer is asked again, and the user is informed; repeating a
    call does no harm.

    Args:
        oracle: The worker's own oracle, for the objective.
        address: Address of the chief.
        port: Port of the chief.
        worker: Name of this worker.
        secret: Shared secret, or `None`.
        patience: Seconds without an answer after which the worker ends.

    Raises:
        ChiefGoneError: From any call, once the patience has run out.
    """

    def __init__(
        self,
        oracle: keras_tuner.Oracle,
        address: str,
        port: int,
        worker: str,
        secret: str | None = None,
        patience: float = PATIENCE,
    ):
        channel = grpc.insecure_channel(
            _joined(address, port),
            # By default gRPC retries less and less often, down to every two minutes.
            options=[("grpc.max_reconnect_backoff_ms", 1000)],
        )
        self._caller = _Caller(_joined(address, port), secret, patience)
        super().__init__(oracle, _Stub(stub_of(channel), self._caller), worker)
        self._report = channel.unary_unary(
            f"/{_REPORT}/Report",
            request_serializer=_encoded,
            response_deserializer=json.loads,
        )

    def report(
        self, worker: str, trial_id: str | None, attempt: int | None = None, **news: Any
    ) -> dict[str, Any]:
        """See `DurableOracle.report`."""
        request = {"worker": worker, "trial_id": trial_id, "attempt": attempt, **news}
        return self._caller(f"/{_REPORT}/Report", self._report, request)


class _Stub:
    """KerasTuner's stub, with each call made by a `_Caller`."""

    def __init__(self, stub: Any, caller: _Caller):
        self._stub, self._caller = stub, caller

    def __getattr__(self, name: str) -> Callable:
        method = getattr(self._stub, name)

        def call(request, **_):
            return self._caller(f"{SERVICE}{name}", method, request)

        return call


class _Caller:
    """Repeats a call until there is an answer, or patience runs out."""

    def __init__(self, chief: str, secret: str | None, patience: float):
        self._chief, self._secret, self._patience = chief, secret, patience

    def __call__(self, name: str, method: Callable, request: Any) -> Any:
        began, told = time.monotonic(), False
        while True:
            signed = [(_SIGNATURE, _signed(name, self._secret))] if self._secret else ()
            try:
                return method(request, timeout=_ATTEMPT, metadata=signed)
            except grpc.RpcError as error:
                if error.code() not in (
                    grpc.StatusCode.UNAVAILABLE,
                    grpc.StatusCode.DEADLINE_EXCEEDED,
                ):
                    raise _as_exception(error, self._chief) from None
            waited = time.monotonic() - began
            if waited > self._patience:
                raise ChiefGoneError(
                    f"The chief at {self._chief} has not answered for {waited:.0f} s. "
                    "Start it again, and then this worker: the trial goes on from its "
                    "checkpoint."
                )
            if not told:
                told = True
                print(
                    f"The chief at {self._chief} does not answer. Asking again for "
                    f"{self._patience:.0f} s.",
                    file=sys.stderr,
                    flush=True,
                )
            time.sleep(min(1.0, max(0.1, self._patience - waited)))


def _as_exception(error: grpc.RpcError, chief: str) -> Exception:
    if error.code() == grpc.StatusCode.UNAUTHENTICATED:
        return PermissionError(
            f"The chief at {chief} has another shared secret "
            "(BPTT_KERAS_TUNING_SECRET), or a clock that differs by minutes."
        )
    return RuntimeError(f"The chief at {chief} failed: {error.details()}")


class _Guard(grpc.ServerInterceptor):
    """Accepts only calls that are signed with the secret, and each signature once."""

    def __init__(self, secret: str):
        self._secret = secret
        self._seen: dict[str, float] = {}

        def refuse(request, context):
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "the signature is wrong")

        self._refusal = grpc.unary_unary_rpc_method_handler(refuse)

    def intercept_service(self, continuation: Callable, call: Any) -> Any:
        given = dict(call.invocation_metadata).get(_SIGNATURE, "")
        if not self._accepts(call.method, given):
            return self._refusal
        return continuation(call)

    def _accepts(self, method: str, given: str) -> bool:
        moment, _, rest = given.partition(".")
        nonce = rest.partition(".")[0]
        if not hmac.compare_digest(
            given.encode(), _signature(method, moment, nonce, self._secret).encode()
        ):
            return False
        now = time.time()
        self._seen = {k: v for k, v in self._seen.items() if v > now - 2 * _CLOCKS}
        if abs(now - int(moment)) > _CLOCKS or nonce in self._seen:
            return False
        self._seen[nonce] = now
        return True


def _signed(method: str, secret: str) -> str:
    return _signature(method, str(int(time.time())), secrets.token_hex(8), secret)


def _signature(method: str, moment: str, nonce: str, secret: str) -> str:
    text = f"{method}.{moment}.{nonce}".encode()
    digest = hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()
    return f"{moment}.{nonce}.{digest}"


def _encoded(value: Any) -> bytes:
    return json.dumps(value).encode("utf-8")


def _joined(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
