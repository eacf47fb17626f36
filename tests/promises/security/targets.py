"""What the tests here measure: nothing that answers."""

from holymon.plan.plan import Target

TARGET = Target(provider="sim", model="fast")
