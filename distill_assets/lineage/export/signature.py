"""Sign a checkpoint's folder, and tell whether it is as it was signed.

Belongs here: the two calls of model-signing (OpenSSF Model Signing: an in-toto statement with every file's digest, signed
with a key of an elliptic curve). Does not belong here: keys: they are made and kept elsewhere.
Needs the extra `sign`. The signature covers every file but itself, so it is written last.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from distill_assets.errors import LineageError

FILE_NAME = "lineage.sig"


def sign_checkpoint(folder: Path, private_key_file: Path) -> Path:
    """Sign every file of `folder`; return the signature's file in it, which replaces an earlier one.

    Args:
        private_key_file: PEM without password, as `openssl ecparam -name prime256v1 -genkey -noout` makes it.

    Raises:
        LineageError: the folder, the key or the extra is missing or unfit.
    """
    signing, _, hashing = _load()
    folder = _need_folder(folder)
    signature = folder / FILE_NAME
    _need_file(private_key_file, "private key")
    try:
        config = signing.Config().use_elliptic_key_signer(private_key=private_key_file)
        config.set_hashing_config(_what_to_hash(hashing, folder)).sign(folder, signature)
    except (ValueError, TypeError, OSError) as error:
        raise LineageError(
            f"{folder}: cannot be signed with {private_key_file}: {_first_line(error)}. No weights were changed. "
            "The key must be an unencrypted PEM of an elliptic curve: openssl ecparam -name prime256v1 -genkey -noout -out key.pem"
        ) from error
    return signature


def verify_signature(folder: Path, public_key_file: Path) -> None:
    """Check that `folder` has exactly the files that were signed, byte for byte, with the key's other half.

    Raises:
        LineageError: it has not, or the signature, the key or the extra is missing or unfit.
    """
    _, verifying, hashing = _load()
    folder = _need_folder(folder)
    _need_file(folder / FILE_NAME, "signature")
    _need_file(public_key_file, "public key")
    try:
        config = verifying.Config().use_elliptic_key_verifier(public_key=public_key_file)
        config.set_hashing_config(_what_to_hash(hashing, folder)).verify(folder, folder / FILE_NAME)
    except Exception as error:  # whatever goes wrong while a signature is checked, it was not verified
        raise LineageError(
            f"{folder}: the signature does not hold: {_first_line(error)}. Nothing was changed. "
            "Do not use the files before you know why; fetch them and the public key anew."
        ) from error


def _load() -> tuple[ModuleType, ModuleType, ModuleType]:
    try:
        from model_signing import hashing, signing, verifying
    except ImportError as missing:
        raise LineageError(
            f"Signatures need model-signing, which is not there ({missing}). Nothing was signed or verified. "
            "pip install 'distill-assets[sign]'"
        ) from missing
    return signing, verifying, hashing


def _what_to_hash(hashing: ModuleType, folder: Path) -> object:
    """Every file but the signature; by default the library would pass over .git and .gitignore."""
    return hashing.Config().set_ignored_paths(paths=[folder / FILE_NAME], ignore_git_paths=False)


def _need_folder(folder: Path) -> Path:
    """The folder as a full path: by a relative one the library would not know the signature again."""
    if not folder.is_dir():
        raise LineageError(f"{folder}: no such folder. Name the folder with the weights and lineage.json; nothing was changed.")
    return folder.resolve()


def _need_file(file: Path, what: str) -> None:
    if not file.is_file():
        raise LineageError(f"{file}: no such {what}. Nothing was signed or verified; name a file that is there.")


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200] if lines else 'no reason given'}"
