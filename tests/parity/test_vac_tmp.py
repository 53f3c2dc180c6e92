import gitsync.release.perform as p

p.without_secrets = lambda e, s: e
from tests.parity.conftest import *
from tests.parity.test_parity_values import test_no_secret_shows_in_what_the_api_server_says_of_it
