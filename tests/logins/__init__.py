"""remotenb and OpenSSH at the same logins: real sshd, real PAM, both on a terminal."""
