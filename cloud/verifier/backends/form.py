"""A picture as the one field of a form (RFC 7578): how some services want to be given it."""

import uuid


def form_of(field: str, jpeg: bytes) -> tuple[bytes, str]:
    """The body of a form with the picture in `field`, and its content type."""
    boundary = uuid.uuid4().hex
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"; '
        f'filename="{field}"\r\nContent-Type: application/octet-stream\r\n\r\n'
    )
    body = head.encode() + jpeg + f"\r\n--{boundary}--\r\n".encode()
    return body, f"multipart/form-data; boundary={boundary}"
