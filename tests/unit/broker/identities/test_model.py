from broker.identities.model import VendorConnection


def test_a_connection_does_not_print_its_certificate_or_knock() -> None:
    connection = VendorConnection("dev_1", "k", "203.0.113.7", 5, b"certificate bytes", b"signed knock bytes")
    assert "certificate bytes" not in repr(connection)
    assert "signed knock bytes" not in repr(connection)
