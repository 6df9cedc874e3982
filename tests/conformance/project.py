"""What tests of statements do with a project: upload, start, look at the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tests.api.lab import Answer
from tests.conformance.rest import RestRun, RestWorld
from tests.core.texts import document

from tramontane.rehearsal.script import Script, Scripted


class Project(RestWorld):
    """A world whose definitions and script come piece by piece."""

    def define(self, text: str, namespace: str = "") -> None:
        """Upload workflows; the document's version, and the attributes of ``name: {}``, are added."""
        self.library.add_workflows(document(text), namespace)

    def upload(self, kind: str, text: str, query: str = "", method: str = "POST") -> Answer:
        """Upload a document as it is; give the answer, whatever it is."""
        return self.ask(method, f"/v2/{kind}{query}", text)

    @contextmanager
    def changed_api(self, **settings: Any) -> Iterator[None]:
        """Have the API other settings for the length of a block."""
        app = self.service.app
        self.service.app = self.service.api(**settings)
        try:
            yield
        finally:
            self.service.app = app

    def begin(
        self,
        text: str,
        input: Mapping[str, Any] | None = None,
        script: Mapping[str, Scripted] | None = None,
        **params: Any,
    ) -> RestRun:
        """Upload workflows and start ``wf``; no time passes."""
        self.define(text)
        self._script = Script(script or {})
        return self.start("wf", input, **params)

    def play(
        self,
        text: str,
        input: Mapping[str, Any] | None = None,
        script: Mapping[str, Scripted] | None = None,
        **params: Any,
    ) -> RestRun:
        """Upload workflows, start ``wf`` and let it go on until nothing happens by itself."""
        run = self.begin(text, input, script, **params)
        self.run()
        return run

    def refusal(self, workflow: str = "wf", **body: Any) -> str:
        """The text of a start that is refused with a 400, of which no execution is left."""
        before = len(self.runs())
        answer = self.ask("POST", "/v2/executions", {"workflow_name": workflow, **body})
        assert answer.status == 400, answer
        assert len(self.runs()) == before
        return answer.fault
