"""The platforms as the tests meet them: small servers on the loopback interface."""
