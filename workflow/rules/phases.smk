"""From curves to answers: phases with confidence, differences between shortcuts, how each block compresses.

Needs: tables/. Makes: phases/.
"""
