"""The pages as an ASGI application: a request becomes a page, a picture or a download, or the form of a login.

Not here: the checks of names and sites, which stand before everything (`http.middleware`); bytes of pages (`views`).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from urllib.parse import parse_qs

import trio
from starlette.requests import Request as HttpRequest
from starlette.responses import RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from cometfs.render.pages.lists import login_html, notice_html
from cometfs.render.pages.template import Served, served_policy
from cometfs.server import addresses
from cometfs.server.addresses import address, named, parts_of
from cometfs.server.catalog.project import ServedExperiment, ServedProject
from cometfs.server.errors import ApiError
from cometfs.server.pages import files, views
from cometfs.server.pages.login import Login, TooManyTries
from cometfs.server.request import Backend

LONGEST_FORM = 8 << 10
"""Bytes of the form of a login."""

FORM = b"application/x-www-form-urlencoded"

AT_ONCE = 2
"""Pages and pictures that are made at once: programs that log have the other threads."""


class Site:
    """Answers browsers, those without a login by its form; `handle` answers requests that are let in already."""

    def __init__(self, backend: Backend, login: Login, is_api: Callable[[Scope], bool]) -> None:
        self._backend, self._login, self._is_api = backend, login, is_api
        self._limiter = trio.CapacityLimiter(AT_ONCE)

    def takes(self, scope: Scope) -> bool:
        """Whether a request is a browser's for a page, or of its form."""
        if self._is_api(scope):
            return False
        headers = dict(scope["headers"])
        is_form = headers.get(b"content-type", b"").startswith(FORM)
        return bool(scope["method"] == "GET" or (scope["method"] == "POST" and is_form))

    def once_more(self, scope: Scope) -> Response | None:
        """The answer to a link on a page of another site: the same link. Nothing is shown without a click on a page of
        ours, and all that the other site learns is that it was refused. None for what is no such link.
        """
        headers = dict(scope["headers"])
        is_link = (headers.get(b"sec-fetch-mode"), headers.get(b"sec-fetch-dest")) == (b"navigate", b"document")
        if not (is_link and scope["method"] == "GET" and self.takes(scope)):
            return None
        here = address(*parts_of(scope)) if parts_of(scope) else addresses.HOME
        words = "A page of another site leads here. If you followed a link on it, go on:"
        return page(notice_html("You come from another site", words, Served(), ("Open the page", here)), 403)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = HttpRequest(scope, receive)
        await (await self._answer(request))(scope, receive, send)

    async def _answer(self, request: HttpRequest) -> Response:
        if request.method == "POST":
            return await self._posted(request)
        if not self._login.lets_in(request):
            return page(login_html(), 401)
        return await self.handle(request)

    async def handle(self, request: HttpRequest) -> Response:
        """The page of an address."""
        try:
            return await self._found(request)
        except FileNotFoundError:
            # An experiment was deleted while its files were read. Now that this is the event loop, no catalog has it.
            return await self._found(request)

    async def _found(self, request: HttpRequest) -> Response:
        try:
            return await trio.to_thread.run_sync(self._page, parts_of(request.scope), limiter=self._limiter)
        except ApiError as refusal:
            served = Served([views.START], 0, self._login.is_needed)
            return page(notice_html("There is no such page", refusal.message, served), refusal.status)

    # -- The form ------------------------------------------------------------------------------------------------------

    async def _posted(self, request: HttpRequest) -> Response:
        """A login or its end; then the page itself, whose address is made anew of its parts: it leads nowhere else."""
        answer: Response = RedirectResponse(address(*parts_of(request.scope)), 303, {"Cache-Control": "no-store"})
        try:
            form = await _form(request)
            if "logout" in form:
                self._login.end(request, answer)
            elif self._login.is_needed and not self._login.begin(form.get("key", ""), request, answer):
                answer = page(login_html("This is not the server's API key."), 401)
        except TooManyTries as refusal:
            answer = page(login_html(str(refusal)), 429, {"Retry-After": str(refusal.seconds)})
        return answer

    # -- What is at an address -----------------------------------------------------------------------------------------

    def _page(self, parts: list[str]) -> Response:
        """Reads archives."""
        index, logout = self._backend.index, self._login.is_needed
        if not parts:
            return page(views.home(index, logout))
        experiment = self._experiment(parts)
        if experiment is not None:
            return self._of_experiment(experiment, parts)
        workspace = named(parts[0], index.workspaces())
        if workspace is None:
            raise ApiError(404, f"This Comet has no workspace {parts[0]}.")
        if len(parts) == 1:
            return page(views.workspace(index, workspace, logout))
        projects = {one.name: one for one in index.projects_of(workspace)}
        project = named(parts[1], projects)
        if project is None:
            raise ApiError(404, f"The workspace {workspace} has no project {parts[1]}.")
        return self._of_project(projects[project], parts[2:])

    def _experiment(self, parts: list[str]) -> ServedExperiment | None:
        """What has the key in the third place, where comet_ml puts it; in any later one if the address has a slash too
        many, as comet_ml's own has of a name with one.
        """
        known = self._backend.index.experiments
        return next((known[part] for part in parts[2:] if part in known), None)

    def _of_project(self, project: ServedProject, rest: list[str]) -> Response:
        match rest:
            case []:
                return page(views.project(project, self._login.is_needed))
            case [addresses.ARCHIVED]:
                return page(views.project(project, self._login.is_needed, archived=True))
            case [addresses.CHARTS, file]:
                return files.chart(project, file)
            case ["view", *_]:  # comet_ml's address of a project's page
                return RedirectResponse(address(project.workspace, project.name), 303)
        raise ApiError(404, f"The project {project.name} has no experiment {rest[0]}.")

    def _of_experiment(self, experiment: ServedExperiment, parts: list[str]) -> Response:
        place = parts.index(experiment.key, 2)
        rest = parts[place + 1 :]
        right = views.address_of(experiment, *rest)
        if address(*parts) != right:
            return RedirectResponse(right, 303)  # it was moved, or a name has a slash
        match rest:
            case []:
                return page(views.experiment(experiment, self._login.is_needed))
            case ["assets"]:
                return page(views.assets(experiment, self._login.is_needed))
            case ["assets", identity, *_]:
                return files.asset(self._backend, experiment, identity)
            case ["plots", file]:
                return files.plot(experiment, file)
            case [name]:
                return files.text_file(experiment, name)
        raise ApiError(404, "An experiment has nothing there.")


def page(body: bytes, status: int = 200, more: dict[str, str] | None = None) -> Response:
    """A page, which runs our scripts alone, is shown in no frame, and of which nothing is kept."""
    headers = {
        "Content-Security-Policy": served_policy(),
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": "no-store",
    }
    return Response(body, status, headers | (more or {}), "text/html")


async def _form(request: HttpRequest) -> dict[str, str]:
    body = bytearray()
    async with aclosing(request.stream()) as chunks:
        async for chunk in chunks:
            body += chunk
            if len(body) > LONGEST_FORM:
                return {}
    return {name: values[-1] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}
