"""What passes between a stage and whoever answers: requests, replies, and the teacher's answer form.

Belongs here: plain data. Does not belong here: transport (openai_chat, embedded_chat) or meaning.
"""

from __future__ import annotations

from typing import NamedTuple


class ChatRequest(NamedTuple):
    """One planned call: its id, the messages by role, and the seed sent with it."""

    request_id: str
    system: str
    user: str
    seed: int


class ChatReply(NamedTuple):
    """How a call ended. `answer` is the parsed object of an ok reply; token counts are as billed.

    `status`: ok, invalid (reply does not parse), truncated, refused, or error (no whole reply).
    `extra` holds what the endpoint said of itself outside the protocol.
    """

    request_id: str
    status: str
    answer: dict[str, str] | None = None
    error: str | None = None
    served_model: str | None = None
    system_fingerprint: str | None = None
    response_id: str | None = None
    finish_reason: str | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    extra: dict[str, object] | None = None

    @property
    def is_final(self) -> bool:
        """True when asking again could only buy the same thing twice."""
        return self.status != "error"
