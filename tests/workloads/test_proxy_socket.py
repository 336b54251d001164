"""The proxy command's socket, as several threads use it."""

from __future__ import annotations

import threading

from workloads.connectors.proxy_socket import ProxySocket


def test_two_threads_close_one_proxy_and_both_learn_what_it_said() -> None:
    """A sampler's thread and the task that ends it close the same connection at the same time."""
    for _ in range(10):
        proxy = ProxySocket("sh -c 'echo refused >&2; sleep 0.05'", "192.0.2.1", 22)
        said: list[str] = []
        faults: list[BaseException] = []
        gate = threading.Barrier(2)

        def close(
            proxy: ProxySocket = proxy,
            said: list[str] = said,
            faults: list[BaseException] = faults,
            gate: threading.Barrier = gate,
        ) -> None:
            gate.wait()
            try:
                said.append(proxy.close())
            except BaseException as fault:
                faults.append(fault)

        threads = [threading.Thread(target=close) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert faults == []
        assert said == ["refused", "refused"]
