"""What botocore, moto and pulumi make again and again, and is the same each time.

A test that asks every region makes thirty clients of EC2, and each of them 800 functions.
"""

from __future__ import annotations

import functools
from typing import Any

import botocore.client
import botocore.hooks
import botocore.httpsession
import botocore.loaders
import botocore.regions
import moto.ec2.models.key_pairs
import moto.moto_server.werkzeug_app
import pulumi.runtime.resource
import pytest
from pulumi.runtime.proto.source_pb2 import StackTrace


def make_once(patch: pytest.MonkeyPatch) -> None:
    """Keeps what was made, for as long as the patch lasts."""
    creator_type: Any = botocore.client.ClientCreator  # its stubs have nothing private
    create_methods = creator_type._create_methods
    made: dict[tuple[str, str], dict[str, Any]] = {}

    def methods(creator: Any, model: Any) -> dict[str, Any]:
        key = (model.service_name, model.api_version)
        if key not in made:
            made[key] = create_methods(creator, model)
        return dict(made[key])

    load_service_model = botocore.loaders.Loader.load_service_model
    models: dict[tuple[Any, ...], Any] = {}

    def model(loader: Any, *which: Any, **named: Any) -> Any:
        key = (*which, *named.items())
        if key not in models:
            models[key] = load_service_model(loader, *which, **named)
        return models[key]

    # The rules of a service are one of the models above, so that they are the same object.
    regions: Any = botocore.regions
    make_rules = regions.EndpointProvider
    rules: dict[tuple[int, ...], Any] = {}

    def endpoint_rules(ruleset_data: Any, partition_data: Any, **named: Any) -> Any:
        key = id(ruleset_data), id(partition_data)
        if key not in rules:
            rules[key] = ruleset_data, partition_data, make_rules(ruleset_data, partition_data, **named)
        return rules[key][2]

    aliaser_type: Any = botocore.hooks.EventAliaser
    make_aliaser = aliaser_type.__init__
    names: dict[str, str] = {}

    def aliaser(self: Any, emitter: Any, aliases: Any = None) -> None:
        make_aliaser(self, emitter, aliases)
        if self._event_aliases == botocore.hooks.EVENT_ALIASES:
            self._alias_name_cache = names

    takes_any = functools.cache(botocore.hooks.accepts_kwargs)

    patch.setattr(creator_type, "_create_methods", methods)
    patch.setattr(botocore.loaders.Loader, "load_service_model", model)
    patch.setattr(regions, "EndpointProvider", endpoint_rules)
    patch.setattr(aliaser_type, "__init__", aliaser)
    # Of a method it is that of its function: a key that keeps no object.
    patch.setattr(botocore.hooks, "accepts_kwargs", lambda handler: takes_any(getattr(handler, "__func__", handler)))
    context = functools.cache(botocore.httpsession.create_urllib3_context)
    patch.setattr(botocore.httpsession, "create_urllib3_context", context)
    application = functools.cache(moto.moto_server.werkzeug_app.create_backend_app)
    patch.setattr(moto.moto_server.werkzeug_app, "create_backend_app", application)
    # A key takes a tenth of a second, and no test looks at it.
    key_pairs: Any = moto.ec2.models.key_pairs  # nor do moto's types have what it imports there
    patch.setattr(key_pairs, "random_rsa_key_pair", functools.cache(key_pairs.random_rsa_key_pair))
    # Where each resource was declared, and by whom, up to pytest: a sixth of a program's time, and nobody reads it.
    patch.setattr(pulumi.runtime.resource, "_get_stack_trace", StackTrace)
    patch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")  # 1,300 images for each region of each account
