"""What became of the claims that the experiment states.

Needs: tables/ and phases/. Makes: verdicts/.
"""
